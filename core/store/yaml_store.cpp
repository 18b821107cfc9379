// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_store.h"

#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/store/file_watch.h"
#include "core/store/yaml_content.h"
#include "core/store/yaml_edit.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

namespace vfskit::store {

namespace {

constexpr mode_t directory_mode = 0755;

// The file that `path` leads to, so that two names of one file have one lock; `path` itself where
// that cannot be found out, which the write then reports. A name alone stays one where nothing has
// it yet, unless it is made absolute first.
std::string resolve(const std::string& path) {
    std::error_code error;
    auto resolved = std::filesystem::absolute(path, error);
    if (!error) {
        resolved = std::filesystem::weakly_canonical(resolved, error);
    }
    return error ? path : resolved.string();
}

Error cannot_write(Error error, const std::string& path) {
    const int code = error.code();
    std::string remedy;
    if (code == EROFS) {
        remedy = "Nothing was changed. Remount the filesystem writable, or choose another store "
                 "with --store";
    } else if (code == EACCES) {
        remedy = "Nothing was changed. Run as root, or as a user who may write to its directory";
    } else if (code == EPERM) {
        remedy = "Nothing was changed. Run as root, and see with 'lsattr' whether the file may be "
                 "changed at all";
    } else if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
        remedy = "Nothing was changed. Make room on its filesystem and try again";
    } else if (code == ENOENT) {
        remedy = "Create its directory";
    }
    return std::move(error)
        .under("The mappings cannot be written")
        .at({path, 0, {}})
        .with_remedy(std::move(remedy));
}

Error changed_meanwhile(const std::string& path) {
    return Error{ESTALE, "The mappings were changed by somebody else since they were read"}
        .at({path, 0, {}})
        .with_remedy("Read them again and repeat the change");
}

} // namespace

YamlStore::YamlStore(std::string path) : YamlStore{std::move(path), Options{}} {}

YamlStore::YamlStore(std::string path, Options options)
    : path_{std::move(path)}, options_{options} {}

YamlStore::~YamlStore() = default;

std::string YamlStore::url() const {
    return "yaml:" + path_;
}

Result<std::string> YamlStore::read() const {
    auto text = base::read_file(path_, yaml_max_file_bytes);
    if (!text && text.error().code() == ENOENT) {
        return std::string{};
    }
    return text;
}

const Revision& YamlStore::revision_of(std::string text) {
    if (seen_revision_.text.empty() || text != seen_text_) {
        seen_revision_.text = base::sha1_hex(text);
        seen_text_ = std::move(text);
    }
    return seen_revision_;
}

Result<Snapshot> YamlStore::snapshot() {
    VFSKIT_TRY_ASSIGN(std::string text, read());
    VFSKIT_TRY_ASSIGN(YamlContent content, read_yaml(text, path_));
    return Snapshot{
        revision_of(std::move(text)), std::move(content.mappings), std::move(content.notices)};
}

Result<base::FileLock> YamlStore::lock() const {
    const std::string real_path = resolve(path_);
    // A first write on a fresh machine: the directory is ours to make, its parents are not.
    const auto directory = std::filesystem::path{real_path}.parent_path();
    if (::mkdir(directory.c_str(), directory_mode) != 0 && errno != EEXIST && errno != EROFS &&
        errno != EACCES) {
        return cannot_write(
            Error::from_errno(errno, fmt::format("Cannot create '{}'", directory.string())), path_);
    }
    auto lock = base::FileLock::acquire(real_path + ".lock", options_.lock_timeout);
    if (!lock) {
        return cannot_write(std::move(lock).error(), path_);
    }
    return lock;
}

Result<Revision> YamlStore::commit(const Revision& expected, const std::vector<Edit>& edits) {
    VFSKIT_TRY_ASSIGN(const auto held, lock());
    return commit_locked(expected, edits);
}

Result<Revision> YamlStore::rewrite(const Revision& expected, std::string text) {
    VFSKIT_TRY_ASSIGN(const auto held, lock());
    VFSKIT_TRY_ASSIGN(std::string now, read());
    if (revision_of(std::move(now)) != expected) {
        return changed_meanwhile(path_);
    }
    return write(std::move(text));
}

Result<Revision> YamlStore::commit_locked(const Revision& expected,
                                          const std::vector<Edit>& edits) {
    VFSKIT_TRY(see_current_text());
    if (seen_revision_ != expected) {
        return changed_meanwhile(path_);
    }
    VFSKIT_TRY_ASSIGN(std::string edited, edit_yaml(seen_text_, edits, path_));
    return write(std::move(edited));
}

Result<void> YamlStore::see_current_text() {
    VFSKIT_TRY_ASSIGN(std::string text, read());
    if (seen_revision_.text.empty() || text != seen_text_) {
        VFSKIT_TRY(read_yaml(text, path_));
        revision_of(std::move(text));
    }
    return {};
}

Result<Revision> YamlStore::write(std::string edited) {
    if (edited == seen_text_) {
        return seen_revision_;
    }
    if (edited.size() > yaml_max_file_bytes) {
        return cannot_write(Error{EFBIG,
                                  fmt::format("The file would have {} bytes, at most {} are read",
                                              edited.size(),
                                              yaml_max_file_bytes)},
                            path_);
    }
    if (auto written = base::replace_file(path_, edited); !written) {
        return cannot_write(std::move(written).error(), path_);
    }
    return revision_of(std::move(edited));
}

Result<bool> YamlStore::wait_for_change(const Revision& seen, std::chrono::milliseconds timeout) {
    return wait_until_changed(
        {path_, resolve(path_)},
        [&]() -> Result<bool> {
            VFSKIT_TRY_ASSIGN(const std::string text, read());
            return base::sha1_hex(text) != seen.text;
        },
        timeout,
        options_.poll_interval);
}

} // namespace vfskit::store

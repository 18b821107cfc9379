// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_files.h"

#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/store/pve_store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace vfskit::store {

namespace {

// Where pmxcfs is mounted when it is: an empty directory there is not an empty cluster.
constexpr std::string_view pmxcfs_mount_point = "/etc/pve";

Result<std::string> read_or_empty(const std::string& path) {
    auto content = base::read_file(path, pve_max_file_bytes);
    if (!content && content.error().code() == ENOENT) {
        return std::string{};
    }
    return content;
}

Result<void> check_size(const std::string& path, const std::string& content) {
    if (content.size() <= pve_max_file_bytes) {
        return {};
    }
    return Error{EFBIG,
                 fmt::format("It would have {} bytes; the cluster filesystem takes {}",
                             content.size(),
                             pve_max_file_bytes)}
        .at({path, 0, {}})
        .with_remedy("Remove mappings that nobody uses, or shorten paths and descriptions");
}

Result<void> make_mapping_directory(const PvePaths& paths) {
    const auto path = paths.directory.substr(0, paths.directory.rfind('/'));
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        return Error::from_errno(errno, "Cannot create the directory").at({path, 0, {}});
    }
    return {};
}

} // namespace

PvePaths::PvePaths(const std::string& root_directory)
    : root{root_directory}, directory{fmt::format("{}/{}", root, pve_directory_cfg)},
      truth{fmt::format("{}/{}", root, pve_truth_cfg)} {}

Revision PveState::revision() const {
    return Revision{
        fmt::format("{}-{}", base::sha1_hex(directory_content), base::sha1_hex(truth_content))};
}

Result<void> check_pve_root(const std::string& root) {
    struct stat info {};
    if (::stat(root.c_str(), &info) != 0) {
        return Error::from_errno(errno, "Cannot use it as a Proxmox VE configuration directory")
            .at({root, 0, {}})
            .with_remedy("Give the directory that holds mapping/directory.cfg, normally /etc/pve");
    }
    if (!S_ISDIR(info.st_mode)) {
        return Error{ENOTDIR, "Not a directory"}.at({root, 0, {}});
    }
    if (root == pmxcfs_mount_point && !is_pmxcfs(root)) {
        return Error{ENOTCONN, "The cluster filesystem is not mounted"}
            .at({root, 0, {}})
            .with_remedy("Start it with 'systemctl start pve-cluster'");
    }
    return {};
}

PveState
make_pve_state(const PvePaths& paths, std::string directory_content, std::string truth_content) {
    PveState state;
    state.directory_content = std::move(directory_content);
    state.truth_content = std::move(truth_content);
    state.directory = parse_directory_config(state.directory_content, paths.directory);
    state.truth = parse_truth(state.truth_content, paths.truth, *state.directory);
    state.mappings = complete_mappings(
        *state.directory, state.truth, paths.directory, paths.truth, state.issues);
    return state;
}

Result<PveState> read_pve_state(const PvePaths& paths) {
    VFSKIT_TRY(check_pve_root(paths.root));
    // directory.cfg decides which records count, so it must be the same before and after reading
    // them. A writer holds the two apart for milliseconds only.
    constexpr int max_attempts = 50;
    VFSKIT_TRY_ASSIGN(auto directory, read_or_empty(paths.directory));
    for (int attempt = 0; attempt < max_attempts; ++attempt) {
        VFSKIT_TRY_ASSIGN(auto truth, read_or_empty(paths.truth));
        VFSKIT_TRY_ASSIGN(auto again, read_or_empty(paths.directory));
        if (directory == again) {
            return make_pve_state(paths, std::move(directory), std::move(truth));
        }
        directory = std::move(again);
    }
    return Error{EAGAIN, "It changes faster than it can be read"}
        .at({paths.directory, 0, {}})
        .with_remedy("Find out which program keeps writing it, then try again");
}

Result<PvePlan> make_pve_plan(const PvePaths& paths,
                              const PveState& state,
                              std::string directory,
                              const TruthChanges& changes) {
    PvePlan plan;
    plan.settled_truth = state.truth.has_unfinished_change
                             ? edit_truth(state.truth_content, state.truth, {})
                             : state.truth_content;
    plan.truth = edit_truth(state.truth_content, state.truth, changes);
    plan.announcement = announce_truth(plan.settled_truth,
                                       changes,
                                       base::sha1_hex(state.directory_content),
                                       base::sha1_hex(directory));
    plan.directory = std::move(directory);
    VFSKIT_TRY(check_size(paths.directory, plan.directory));
    VFSKIT_TRY(check_size(paths.truth, plan.truth));
    VFSKIT_TRY(check_size(paths.truth, plan.announcement));
    return plan;
}

Result<void>
write_pve_file(const PvePaths& paths, const std::string& path, const std::string& content) {
    base::ReplaceOptions options;
    options.mode = 0640;
    options.temp_suffix = fmt::format(".tmp.{}", ::getpid());
    // pmxcfs commits each write to its database by itself.
    options.sync = !is_pmxcfs(paths.root);
    auto written = base::replace_file(path, content, options);
    if (!written && written.error().code() == EACCES && !has_quorum(paths.root)) {
        return Error{EACCES, "The cluster lost its quorum; nothing was changed"}
            .at({path, 0, {}})
            .with_remedy("Bring back enough nodes ('pvecm status' shows which are missing)");
    }
    return written;
}

Result<Revision> write_pve_plan(const PvePaths& paths,
                                const PveState& state,
                                const PvePlan& plan,
                                const PveLock& lock) {
    auto directory = state.directory_content;
    auto truth = state.truth_content;
    const auto write = [&](const std::string& path, std::string& now, const std::string& wanted) {
        if (now == wanted) {
            return Result<void>{};
        }
        if (auto in_time = lock.check_time(); !in_time) {
            return in_time;
        }
        auto written = write_pve_file(paths, path, wanted);
        if (written) {
            now = wanted;
        }
        return written;
    };
    VFSKIT_TRY(make_mapping_directory(paths));
    const bool changes_directory = plan.directory != directory;
    VFSKIT_TRY(write(paths.truth, truth, plan.settled_truth));
    if (changes_directory && plan.truth != plan.settled_truth) {
        VFSKIT_TRY(write(paths.truth, truth, plan.announcement));
    }
    if (auto written = write(paths.directory, directory, plan.directory); !written) {
        // The announcement does not count without its directory.cfg; take it back where possible.
        [[maybe_unused]] const auto ignored = write(paths.truth, truth, plan.settled_truth);
        return written.error();
    }
    auto finished = write(paths.truth, truth, plan.truth);
    if (!finished && !changes_directory) {
        return std::move(finished).error();
    }
    // With directory.cfg changed the announced records count already; the next writer tidies up.
    return Revision{fmt::format("{}-{}", base::sha1_hex(directory), base::sha1_hex(truth))};
}

} // namespace vfskit::store

// SPDX-License-Identifier: Apache-2.0
// Saver: files that are not where the guest found them.
#include "core/base/text.h"
#include "core/device_state/paths.h"
#include "core/device_state/saver.h"
#include "core/passthrough/host_calls.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostIdentity;

void Saver::search_astray() {
    for (const auto i : astray_) {
        other_names_->want(records_[i].id);
    }
    for (std::size_t i = 0; other_names_->wants_any() && i < records_.size(); ++i) {
        if (S_ISDIR(records_[i].type) && is_found(i)) {
            other_names_->list(i, records_[i].id);
        }
    }
    for (const auto i : astray_) {
        search(i);
    }
}

/// The next look begins there.
void Saver::put_elsewhere(std::size_t i, std::size_t directory, std::string name) {
    records_[i].parent = records_[directory].id;
    records_[i].name = std::move(name);
    put_below(i, directory, records_[i].name);
}

/// Asks the kernel where the file is.
void Saver::search(std::size_t i) {
    records_[i].parent_index = none;
    if (auto other = other_names_->find(records_[i].id)) {
        put_elsewhere(i, other->first, std::move(other->second));
        return;
    }
    const auto inode = inodes_.find(records_[i].id);
    auto path = inode ? find_path(inodes_, inode) : Error{ESTALE, "It is gone"};
    if (!path) {
        report(i, path.error().message());
        return;
    }
    const auto slash = path->rfind('/');
    const auto directory =
        slash == std::string::npos ? find(NodeId::root) : find_directory(path->substr(0, slash));
    if (directory != none && is_found(directory)) {
        put_elsewhere(i, directory, path->substr(slash == std::string::npos ? 0 : slash + 1));
    } else if (base::is_valid_utf8(*path)) {
        state_.inodes[i].location = FullPathLocation{std::move(*path)};
    } else {
        report(i, "Its path is not UTF-8 and the guest has forgotten the directory it is in");
    }
}

/// The record of a directory, by its path.
std::size_t Saver::find_directory(const std::string& path) {
    if (by_number_.empty()) {
        for (std::size_t i = 0; i < records_.size(); ++i) {
            if (S_ISDIR(records_[i].type)) {
                by_number_.emplace(static_cast<std::uint64_t>(records_[i].identity.ino), i);
            }
        }
    }
    const auto root = inodes_.find(NodeId::root);
    const auto root_fd = inodes_.fd_of(root);
    const UniqueFd fd{std::max(open_below(root_fd.get(), path), -1)};
    struct statx status {};
    if (!fd || passthrough::stat_fd(fd.get(), status) != 0) {
        return none;
    }
    const auto [first, last] = by_number_.equal_range(status.stx_ino);
    const auto same = std::find_if(first, last, [&](const auto& entry) {
        return records_[entry.second].identity == HostIdentity::of(status);
    });
    return same == last ? none : same->second;
}

void Saver::report(std::size_t i, std::string_view why) {
    const auto& record = records_[i];
    UnreachableFile file;
    file.id = record.id;
    file.ino = record.identity.ino;
    file.reason = why;
    if (const auto inode = inodes_.find(record.id); inode && !inode->is_lost()) {
        file.path = last_known_path(inodes_, inode);
        file.has_handle = get_handle(inode).has_value();
        struct statx status {};
        const auto fd = inodes_.fd_of(inode);
        file.is_deleted =
            fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 && status.stx_nlink == 0;
    }
    if (file.path.empty()) {
        file.path = record.name;
    }
    unreachable_.push_back(std::move(file));
}

} // namespace vfskit::device_state

// SPDX-License-Identifier: Apache-2.0
// open_by_handle_at(2) wants some open file of the filesystem that a handle belongs to: one
// descriptor per mount that the guest knows files of.
#pragma once

#include "core/base/unique_fd.h"
#include "core/passthrough/inode.h"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

namespace vfskit::passthrough {

/// Thread-safe; used only where a descriptor is opened or a record is made. The mutex is a leaf,
/// but for the first file of a mount: then that mount is opened and tried under it.
class MountTable {
public:
    /// `proc_self_fd` is borrowed.
    explicit MountTable(int proc_self_fd) : proc_self_fd_{proc_self_fd} {}

    /// Counts one more file of `mount`. False, and nothing is counted: handles of this mount cannot
    /// be opened. `fd` (O_PATH) and `type` are that file's.
    bool retain(MountId mount, int fd, mode_t type, const HostFileHandle& handle);
    /// Counts one more file of a mount whose handles have been tried. False, and nothing is
    /// counted: they have not, or cannot be opened.
    bool retain_known(MountId mount);
    /// Counts one less; the last one lets go of the mount, so that the host can unmount it.
    void release(MountId mount);
    /// Opens a file by handle, as open(2) with `flags`: the descriptor or a negated errno.
    [[nodiscard]] int open(MountId mount, const HostFileHandle& handle, int flags);

private:
    struct Mount {
        UniqueFd fd;
        bool is_usable = false;
        std::size_t files = 0;
    };
    [[nodiscard]] std::shared_ptr<Mount> find(MountId mount);
    [[nodiscard]] std::shared_ptr<Mount>
    make(int fd, mode_t type, const HostFileHandle& handle) const;

    const int proc_self_fd_;
    std::mutex mutex_; // protects mounts_ and Mount::files
    std::map<MountId, std::shared_ptr<Mount>> mounts_;
};

} // namespace vfskit::passthrough

// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/mount_table.h"

#include <cerrno>

namespace vfskit::passthrough {

std::shared_ptr<MountTable::Mount> MountTable::find(MountId mount) {
    const std::lock_guard lock{mutex_};
    const auto found = mounts_.find(mount);
    return found == mounts_.end() ? nullptr : found->second;
}

std::shared_ptr<MountTable::Mount>
MountTable::make(int fd, mode_t type, const HostFileHandle& handle) const {
    auto mount = std::make_shared<Mount>();
    // The call refuses O_PATH descriptors.
    mount->fd.reset(
        ::openat(proc_self_fd_, FdName{fd}.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (mount->fd && is_openable(type)) {
        const UniqueFd again{open_file_handle(mount->fd.get(), handle, O_PATH)};
        mount->is_usable = again.is_valid();
    }
    if (!mount->is_usable) {
        mount->fd.reset();
    }
    return mount;
}

bool MountTable::retain(MountId mount, int fd, mode_t type, const HostFileHandle& handle) {
    const std::lock_guard lock{mutex_};
    auto& entry = mounts_[mount];
    if (!entry) {
        if (!is_openable(type)) {
            // The first file of a mount that the guest sees is its root nearly always. Where it is
            // a device node mounted over another, the next one is asked.
            mounts_.erase(mount);
            return false;
        }
        entry = make(fd, type, handle);
    }
    if (!entry->is_usable) {
        return false; // and stays known as such: each file would fail again
    }
    ++entry->files;
    return true;
}

bool MountTable::retain_known(MountId mount) {
    const std::lock_guard lock{mutex_};
    const auto found = mounts_.find(mount);
    if (found == mounts_.end() || !found->second->is_usable) {
        return false;
    }
    ++found->second->files;
    return true;
}

void MountTable::release(MountId mount) {
    const std::lock_guard lock{mutex_};
    const auto found = mounts_.find(mount);
    if (found != mounts_.end() && --found->second->files == 0) {
        mounts_.erase(found);
    }
}

int MountTable::open(MountId mount, const HostFileHandle& handle, int flags) {
    const auto entry = find(mount);
    if (!entry || !entry->is_usable) {
        return -ESTALE;
    }
    return open_file_handle(entry->fd.get(), handle, flags);
}

} // namespace vfskit::passthrough

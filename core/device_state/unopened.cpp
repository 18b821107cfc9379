// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/unopened.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostFileHandle;
using passthrough::HostIdentity;
using passthrough::HostIno;
using passthrough::InodeStore;

namespace {

HostFileHandle to_host(const FileHandle& saved) {
    HostFileHandle handle;
    handle.type = saved.type;
    handle.size = static_cast<std::uint8_t>(saved.bytes.size());
    std::copy(saved.bytes.begin(), saved.bytes.end(), handle.bytes.begin());
    return handle;
}

} // namespace

UnopenedFiles::UnopenedFiles(const State& state,
                             const InodeTree& tree,
                             InodeStore& inodes,
                             const HostId& host)
    : state_{state}, tree_{tree}, inodes_{inodes}, root_{inodes.find(NodeId::root)->identity},
      is_possible_{is_proved(host)} {
    for (const auto& handle : state.handles) {
        open_.insert(static_cast<std::uint64_t>(handle.node));
    }
}

bool UnopenedFiles::is_proved(const HostId& host) const {
    if (!state_.trailer || state_.trailer->files.size() != state_.inodes.size() ||
        root_.birth == 0) {
        return false;
    }
    const auto here = identify_share(inodes_, host);
    return here && prove_same_share(state_.trailer->identity, *here);
}

bool UnopenedFiles::may_wait(std::size_t i) const {
    const auto& file = state_.trailer->files[i];
    return file.type != 0 && !S_ISDIR(file.type) && file.birth != 0 &&
           tree_.nodes[i].lookup_count != 0;
}

/// Whether its directory is here and in the shared directory's own mount.
bool UnopenedFiles::has_own_directory(std::size_t i) {
    const auto directory = tree_.nodes[i].parent;
    if (directory == InodeTree::none) {
        return false;
    }
    if (directory != last_directory_) { // neighbours have one
        const auto record = inodes_.find(state_.inodes[directory].id);
        last_directory_ = directory;
        last_is_own_ = record && !record->is_lost() && record->identity.mount == root_.mount &&
                       record->identity.device == root_.device;
    }
    return last_is_own_;
}

Result<bool> UnopenedFiles::take_over(std::size_t i) {
    if (!is_possible_ || !may_wait(i)) {
        return false;
    }
    const auto& inode = state_.inodes[i];
    HostFileHandle handle;
    if (const auto* by_handle = std::get_if<FileHandleLocation>(&inode.location)) {
        handle = to_host(by_handle->handle);
    } else if (is_open(inode.id) || !tree_.nodes[i].is_found_by_place || !has_own_directory(i)) {
        return false; // what is open comes with its handle, which outlives its name
    }
    if (inode.verify_handle) {
        handle = to_host(*inode.verify_handle);
    }
    passthrough::FilePlace place;
    if (const auto directory = tree_.nodes[i].parent; directory != InodeTree::none) {
        place = {state_.inodes[directory].id, tree_.nodes[i].name};
    }
    const auto& file = state_.trailer->files[i];
    const auto restored =
        inodes_.restore_unopened(inode.id,
                                 tree_.nodes[i].lookup_count,
                                 {HostIno{file.ino}, root_.mount, root_.device, file.birth},
                                 file.type,
                                 handle,
                                 place);
    if (!restored && restored.error() == fuse::Errno{EOPNOTSUPP}) {
        return false; // by a handle that cannot be used here: opening it says why
    }
    if (!restored) {
        return Error::from_errno(static_cast<int>(restored.error()), "It cannot be taken over");
    }
    return true;
}

} // namespace vfskit::device_state

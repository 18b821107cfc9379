// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/unopened.h"

#include <algorithm>
#include <cerrno>
#include <thread>
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
      is_possible_{is_proved(host)}, opens_handles_{inodes.opens_handles_of(root_.mount)} {
    for (const auto& handle : state.handles) {
        open_.emplace(static_cast<std::uint64_t>(handle.node), nullptr);
    }
    if (is_possible_) {
        for (const auto& file : state.trailer->opened) {
            open_[static_cast<std::uint64_t>(file.id)] = &file.handle;
        }
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
    if (!is_possible_) {
        return false;
    }
    const auto& file = state_.trailer->files[i];
    return file.type != 0 && !S_ISDIR(file.type) && file.birth != 0 &&
           tree_.nodes[i].lookup_count != 0;
}

/// Whether its directory is here and in the shared directory's own mount.
bool UnopenedFiles::has_own_directory(std::size_t i, Directory& last) const {
    const auto directory = tree_.nodes[i].parent;
    if (directory == InodeTree::none) {
        return false;
    }
    if (directory != last.index) {
        const auto record = inodes_.find(state_.inodes[directory].id);
        last.index = directory;
        last.is_own = record && !record->is_lost() && record->identity.mount == root_.mount &&
                      record->identity.device == root_.device;
    }
    return last.is_own;
}

/// By which it is opened, if by any.
const FileHandle* UnopenedFiles::handle_of(std::size_t i) const {
    const auto& inode = state_.inodes[i];
    if (inode.verify_handle) {
        return &*inode.verify_handle;
    }
    if (const auto* by_handle = std::get_if<FileHandleLocation>(&inode.location)) {
        return &by_handle->handle;
    }
    const auto open = open_.find(static_cast<std::uint64_t>(inode.id));
    return open == open_.end() ? nullptr : open->second;
}

UnopenedFiles::Fate UnopenedFiles::fate_of(std::size_t i, Directory& last) const {
    const auto& inode = state_.inodes[i];
    const auto open = open_.find(static_cast<std::uint64_t>(inode.id));
    if (!std::holds_alternative<FileHandleLocation>(inode.location)) {
        if (!tree_.nodes[i].is_found_by_place || !has_own_directory(i, last)) {
            return Fate::must_be_opened;
        }
        if (open != open_.end() && open->second == nullptr) {
            return Fate::must_be_opened; // what is open comes with its handle, which outlives its
                                         // name
        }
    }
    if (!opens_handles_ && handle_of(i) != nullptr) {
        return Fate::must_be_opened; // which says why it cannot
    }
    return open == open_.end() ? Fate::make_later : Fate::make_now;
}

Result<void> UnopenedFiles::make(std::size_t i) {
    const auto& inode = state_.inodes[i];
    const auto* handle = handle_of(i);
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
                                 handle == nullptr ? HostFileHandle{} : to_host(*handle),
                                 place);
    if (!restored) {
        return Error::from_errno(static_cast<int>(restored.error()), "It cannot be taken over");
    }
    return {};
}

Result<std::vector<std::size_t>> UnopenedFiles::take_over(std::span<const std::size_t> files) {
    std::vector<std::size_t> to_open;
    Directory last;
    for (const auto i : files) {
        switch (fate_of(i, last)) {
        case Fate::make_now:
            VFSKIT_TRY(make(i));
            break;
        case Fate::make_later:
            inodes_.raise_next_id(NodeId{static_cast<std::uint64_t>(state_.inodes[i].id) + 1});
            later_.push_back(i);
            break;
        case Fate::must_be_opened:
            to_open.push_back(i);
            break;
        }
    }
    return to_open;
}

void UnopenedFiles::make_rest() {
    constexpr std::size_t worth_a_thread = 16384; // some 10 ms
    constexpr std::size_t most_threads = 4;
    const auto wanted = std::min<std::size_t>(std::thread::hardware_concurrency(), most_threads);
    const auto parts = std::clamp<std::size_t>(
        later_.size() / worth_a_thread, 1, std::max<std::size_t>(wanted, 1));
    const auto size = later_.size() / parts + 1;
    const auto run = [&](std::size_t part) {
        const auto end = std::min((part + 1) * size, later_.size());
        for (auto at = part * size; at < end; ++at) {
            // Its mount's handles can be opened, and that is all that can be in the way.
            (void)make(later_[at]);
        }
    };
    std::vector<std::thread> threads;
    for (std::size_t part = 1; part < parts; ++part) {
        threads.emplace_back(run, part);
    }
    run(0);
    for (auto& thread : threads) {
        thread.join();
    }
}

} // namespace vfskit::device_state

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
      is_possible_{is_proved(host)} {
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
bool UnopenedFiles::has_own_directory(std::size_t i, Directory& last) {
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

Result<bool> UnopenedFiles::take_over(std::size_t i, Directory& last) {
    const auto& inode = state_.inodes[i];
    HostFileHandle handle;
    if (const auto* by_handle = std::get_if<FileHandleLocation>(&inode.location)) {
        handle = to_host(by_handle->handle);
    } else if (!tree_.nodes[i].is_found_by_place || !has_own_directory(i, last)) {
        return false;
    } else if (const auto open = open_.find(static_cast<std::uint64_t>(inode.id));
               open != open_.end()) {
        if (open->second == nullptr) {
            return false; // what is open comes with its handle, which outlives its name
        }
        handle = to_host(*open->second);
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

Result<std::vector<std::size_t>> UnopenedFiles::take_over_some(std::span<const std::size_t> files) {
    std::vector<std::size_t> rest;
    Directory last;
    for (const auto i : files) {
        VFSKIT_TRY_ASSIGN(const bool is_taken, take_over(i, last));
        if (!is_taken) {
            rest.push_back(i);
        }
    }
    return rest;
}

Result<std::vector<std::size_t>> UnopenedFiles::take_over(std::span<const std::size_t> files) {
    constexpr std::size_t worth_a_thread = 16384; // some 10 ms
    constexpr std::size_t most_threads = 4;
    const auto wanted = std::min<std::size_t>(std::thread::hardware_concurrency(), most_threads);
    const auto parts =
        std::clamp<std::size_t>(files.size() / worth_a_thread, 1, std::max<std::size_t>(wanted, 1));
    const auto size = files.size() / parts + 1;
    std::vector<Result<std::vector<std::size_t>>> outcomes(parts, std::vector<std::size_t>{});
    std::vector<std::thread> threads;
    const auto run = [&](std::size_t part) {
        const auto first = std::min(part * size, files.size());
        outcomes[part] = take_over_some(files.subspan(first, std::min(size, files.size() - first)));
    };
    for (std::size_t part = 1; part < parts; ++part) {
        threads.emplace_back(run, part);
    }
    run(0);
    for (auto& thread : threads) {
        thread.join();
    }
    std::vector<std::size_t> rest;
    for (auto& outcome : outcomes) {
        VFSKIT_TRY_ASSIGN(const auto some, std::move(outcome));
        rest.insert(rest.end(), some.begin(), some.end());
    }
    return rest;
}

} // namespace vfskit::device_state

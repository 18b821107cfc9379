// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/passed_files.h"

#include "core/passthrough/host_calls.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostFileHandle;
using passthrough::HostIdentity;
using passthrough::InodeStore;

PassedFiles::PassedFiles(const State& state, DescriptorSource& source, InodeStore& inodes)
    : source_{source}, inodes_{inodes} {
    numbers_.reserve(state.trailer->numbers.size());
    for (const auto& number : state.trailer->numbers) {
        numbers_.emplace(static_cast<std::uint64_t>(number.id), &number);
    }
    std::unordered_set<std::uint64_t> with_place;
    for (const auto& place : state.trailer->places) {
        with_place.insert(static_cast<std::uint64_t>(place.id));
    }
    for (const auto& inode : state.inodes) {
        if (std::holds_alternative<InvalidLocation>(inode.location) &&
            with_place.count(static_cast<std::uint64_t>(inode.id)) == 0) {
            nameless_.push_back(inode.id);
        }
    }
    std::sort(nameless_.begin(), nameless_.end()); // as our streams have them anyway
    const auto root = inodes.find(NodeId::root);
    if (S_ISDIR(root->type)) {
        own_mount_.reset(std::max(inodes.reopen(root, O_RDONLY | O_DIRECTORY), -1));
    }
}

Result<UniqueFd> PassedFiles::fetch(NodeId id) {
    const auto key = static_cast<std::uint64_t>(id);
    if (fetched_.count(key) == 0 && std::binary_search(nameless_.begin(), nameless_.end(), id)) {
        const auto batch = std::span{nameless_}.subspan(
            next_nameless_,
            std::min(nameless_.size() - next_nameless_, DescriptorSource::usual_batch));
        next_nameless_ += batch.size();
        VFSKIT_TRY_ASSIGN(auto fds, source_.fetch_inodes(batch));
        for (std::size_t i = 0; i < batch.size(); ++i) {
            fetched_[static_cast<std::uint64_t>(batch[i])] = std::move(fds[i]);
        }
    }
    if (const auto known = fetched_.extract(key)) {
        return std::move(known.mapped());
    }
    VFSKIT_TRY_ASSIGN(auto fds, source_.fetch_inodes(std::array{id}));
    return std::move(fds.front());
}

bool PassedFiles::is_file(NodeId id, const struct statx& status) const {
    const auto number = numbers_.find(static_cast<std::uint64_t>(id));
    if (number == numbers_.end()) {
        return true;
    }
    const auto found = HostIdentity::of(status);
    const auto& expected = *number->second;
    return static_cast<std::uint64_t>(found.ino) == expected.ino &&
           found.device == expected.device && found.birth == expected.birth;
}

Result<UniqueFd> PassedFiles::open(NodeId id, struct statx& status) {
    VFSKIT_TRY_ASSIGN(auto fd, fetch(id));
    if (!fd) {
        return Error{ENOENT, "The source's daemon does not have it open"};
    }
    if (const int error = passthrough::stat_fd(fd.get(), status); error != 0) {
        return Error::from_errno(-error, "The source's descriptor cannot be examined");
    }
    if (!is_file(id, status)) {
        return Error{ESTALE, "The source's descriptor is another file's"};
    }
    fd = through_own_mount(std::move(fd), status);
    if (const int error = passthrough::stat_fd(fd.get(), status); error != 0) {
        return Error::from_errno(-error, "The source's descriptor cannot be examined");
    }
    const auto root = inodes_.find(NodeId::root);
    const auto device = HostIdentity::of(status).device;
    if (!S_ISDIR(status.stx_mode) && device == root->identity.device) {
        // The same file under its name must be the same inode for the guest, and no submount.
        status.stx_mnt_id = static_cast<std::uint64_t>(root->identity.mount);
    }
    return fd;
}

UniqueFd PassedFiles::through_own_mount(UniqueFd fd, const struct statx& status) {
    const auto root = inodes_.find(NodeId::root);
    HostFileHandle handle;
    std::uint32_t mount = 0;
    struct statx found {};
    if (!own_mount_ || HostIdentity::of(status).device != root->identity.device ||
        passthrough::get_file_handle(fd.get(), handle, mount) != 0) {
        return fd;
    }
    UniqueFd own{std::max(passthrough::open_file_handle(own_mount_.get(), handle, O_PATH), -1)};
    const bool is_same = own && passthrough::stat_fd(own.get(), found) == 0 &&
                         found.stx_ino == status.stx_ino &&
                         HostIdentity::of(found).device == HostIdentity::of(status).device;
    return is_same ? std::move(own) : std::move(fd);
}

} // namespace vfskit::device_state

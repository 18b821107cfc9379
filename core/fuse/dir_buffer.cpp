// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/dir_buffer.h"

#include "core/fuse/filesystem.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace vfskit::fuse {

namespace {

constexpr std::size_t padded(std::size_t size) {
    return (size + wire::record_align - 1) / wire::record_align * wire::record_align;
}

wire::Dirent make_dirent(const DirEntry& entry) {
    return {.ino = entry.ino,
            .off = entry.next_offset,
            .namelen = static_cast<std::uint32_t>(entry.name.size()),
            .type = entry.type};
}

} // namespace

DirBuffer::DirBuffer(std::span<const iovec> out,
                     bool is_plus,
                     Timeout entry_timeout,
                     Timeout attr_timeout)
    : rest_{out}, is_plus_{is_plus}, entry_timeout_{entry_timeout}, attr_timeout_{attr_timeout} {
    for (const auto& part : out) {
        remaining_ += part.iov_len;
    }
}

bool DirBuffer::has_room_for(std::size_t name_size) const {
    const auto head = is_plus_ ? sizeof(wire::Direntplus) : sizeof(wire::Dirent);
    return name_size <= remaining_ && padded(head + name_size) <= remaining_;
}

bool DirBuffer::add(const DirEntry& entry) {
    assert(!is_plus_);
    if (!has_room_for(entry.name.size())) {
        return false;
    }
    const auto dirent = make_dirent(entry);
    put(&dirent, sizeof(dirent));
    put_name(entry.name);
    return true;
}

bool DirBuffer::add(const DirEntry& entry, const Entry& looked_up) {
    return add_plus(entry,
                    {.nodeid = static_cast<std::uint64_t>(looked_up.node),
                     .generation = looked_up.generation,
                     .entry_valid = entry_timeout_.seconds,
                     .attr_valid = attr_timeout_.seconds,
                     .entry_valid_nsec = entry_timeout_.nanoseconds,
                     .attr_valid_nsec = attr_timeout_.nanoseconds,
                     .attr = looked_up.attr});
}

bool DirBuffer::add_without_lookup(const DirEntry& entry) {
    // Node id 0 means "no entry known"; Linux still takes ino and type for its listing.
    return add_plus(entry, wire::EntryOut{});
}

bool DirBuffer::add_plus(const DirEntry& entry, const wire::EntryOut& entry_out) {
    assert(is_plus_);
    if (!has_room_for(entry.name.size())) {
        return false;
    }
    const wire::Direntplus head{.entry_out = entry_out, .dirent = make_dirent(entry)};
    put(&head, sizeof(head));
    put_name(entry.name);
    return true;
}

void DirBuffer::put_name(std::string_view name) {
    put(name.data(), name.size());
    static constexpr std::array<char, wire::record_align> zeros{};
    put(zeros.data(), padded(name.size()) - name.size());
}

void DirBuffer::put(const void* bytes, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(bytes);
    remaining_ -= size;
    size_ += size;
    while (size > 0) {
        const auto& part = rest_.front();
        const auto step = std::min(size, part.iov_len - offset_in_first_);
        if (step > 0) {
            std::memcpy(static_cast<std::byte*>(part.iov_base) + offset_in_first_, from, step);
        }
        from += step;
        size -= step;
        offset_in_first_ += step;
        if (offset_in_first_ == part.iov_len) {
            rest_ = rest_.subspan(1);
            offset_in_first_ = 0;
        }
    }
}

} // namespace vfskit::fuse

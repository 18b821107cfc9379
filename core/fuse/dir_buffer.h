// SPDX-License-Identifier: Apache-2.0
// The records of one READDIR or READDIRPLUS reply, written straight into the guest's buffers.
#pragma once

#include "core/fuse/wire.h"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vfskit::fuse {

struct Entry;

/// One name of a directory listing. Names come from the host and are not checked.
struct DirEntry {
    std::uint64_t ino = 0;
    /// DT_REG, DT_DIR …, DT_UNKNOWN.
    std::uint32_t type = 0;
    /// Where a later READDIR goes on behind this entry. Opaque to the guest, all 64 bits are used.
    std::uint64_t next_offset = 0;
    std::string_view name;
};

/// How long the guest may believe an entry or attributes: seconds and nanoseconds.
struct Timeout {
    std::uint64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

/// Append-only; never reads the guest's memory back. Not thread-safe.
class DirBuffer {
public:
    /// `out` may be scattered; its total size is what the guest asked for, or less.
    DirBuffer(std::span<const iovec> out,
              bool is_plus,
              Timeout entry_timeout,
              Timeout attr_timeout);

    /// Whether this answers READDIRPLUS.
    [[nodiscard]] bool is_plus() const { return is_plus_; }
    /// Whether a name of that size still fits. Ask before looking an entry up: a lookup whose entry
    /// is then not added would have to be forgotten again.
    [[nodiscard]] bool has_room_for(std::size_t name_size) const;
    /// Bytes left, and bytes written so far.
    [[nodiscard]] std::size_t remaining() const { return remaining_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    /// READDIR: false (and nothing written) when it does not fit.
    bool add(const DirEntry& entry);
    /// READDIRPLUS, with what LOOKUP would answer. The guest then holds one more reference.
    bool add(const DirEntry& entry, const Entry& looked_up);
    /// READDIRPLUS, for "." and "..", and for a name whose lookup failed: the guest gets the name
    /// and looks it up by itself when it wants it.
    bool add_without_lookup(const DirEntry& entry);

private:
    bool add_plus(const DirEntry& entry, const wire::EntryOut& entry_out);
    void put(const void* bytes, std::size_t size);
    void put_name(std::string_view name);

    std::span<const iovec> rest_;
    std::size_t offset_in_first_ = 0;
    std::size_t remaining_ = 0;
    std::size_t size_ = 0;
    bool is_plus_;
    Timeout entry_timeout_;
    Timeout attr_timeout_;
};

} // namespace vfskit::fuse

// SPDX-License-Identifier: Apache-2.0
// How handlers answer and what several of them check. Inline: they run once per request.
#pragma once

#include "core/fuse/dispatch.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace vfskit::fuse {

inline Outcome<off_t> checked_offset(std::uint64_t offset) {
    if (offset > INT64_MAX) {
        return Errno{EINVAL};
    }
    return static_cast<off_t>(offset);
}

inline std::span<const std::byte> bytes_of(const auto& value) {
    return std::as_bytes(std::span{&value, 1});
}

inline std::size_t answer_bytes(const Call& call, std::span<const std::byte> bytes) {
    scatter(call.payload, 0, bytes);
    return bytes.size();
}

inline std::size_t answer(const Call& call, const auto& value) {
    return answer_bytes(call, bytes_of(value));
}

inline wire::EntryOut make_entry_out(const Call& call, const Entry& entry) {
    const auto& rules = call.cache_rules;
    return {.nodeid = static_cast<std::uint64_t>(entry.node),
            .generation = entry.generation,
            .entry_valid = rules.entry_timeout.seconds,
            .attr_valid = rules.attr_timeout.seconds,
            .entry_valid_nsec = rules.entry_timeout.nanoseconds,
            .attr_valid_nsec = rules.attr_timeout.nanoseconds,
            .attr = entry.attr};
}

inline Outcome<std::size_t> answer_entry(Call& call, const Outcome<Entry>& entry) {
    if (!entry) {
        return entry.error();
    }
    return answer(call, make_entry_out(call, *entry));
}

inline Outcome<std::size_t> answer_attr(Call& call, const Outcome<wire::Attr>& attr) {
    if (!attr) {
        return attr.error();
    }
    return answer(call,
                  wire::AttrOut{.attr_valid = call.cache_rules.attr_timeout.seconds,
                                .attr_valid_nsec = call.cache_rules.attr_timeout.nanoseconds,
                                .dummy = 0,
                                .attr = *attr});
}

inline wire::OpenOut make_open_out(const Opened& opened, std::uint32_t policy_flags) {
    return {.fh = static_cast<std::uint64_t>(opened.handle),
            .open_flags = opened.open_flags | policy_flags,
            .backing_id = 0};
}

inline Outcome<std::size_t> answer_created(Call& call, const Outcome<Created>& created) {
    if (!created) {
        return created.error();
    }
    const auto entry = make_entry_out(call, created->entry);
    const auto open = make_open_out(created->opened, call.cache_rules.open_flags);
    scatter(call.payload, 0, bytes_of(entry));
    scatter(call.payload, sizeof(entry), bytes_of(open));
    return sizeof(entry) + sizeof(open);
}

inline Outcome<std::size_t> answer_nothing(const Outcome<void>& outcome) {
    if (!outcome) {
        return outcome.error();
    }
    return std::size_t{0};
}

/// At least `size` bytes of host memory, all zero only where the caller makes them so.
inline std::span<std::byte> reply_memory(Call& call, std::size_t size) {
    auto& memory = call.scratch.reply;
    if (memory.size() < size) {
        memory.resize(size);
    }
    return std::span{memory}.first(size);
}

} // namespace vfskit::fuse

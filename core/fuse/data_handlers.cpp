// SPDX-License-Identifier: Apache-2.0
// Requests that move data.
#include "core/base/request_path.h"
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <linux/limits.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace vfskit::fuse {

using namespace wire;

namespace {

std::optional<LockOwner> owner_if(bool is_set, std::uint64_t owner) {
    return is_set ? std::optional{LockOwner{owner}} : std::nullopt;
}

/// Hands `data` to `transfer` in portions of IOV_MAX buffers, which is what the system calls take.
/// An error after the first portion becomes a short count, as read(2) and write(2) do.
template <class Transfer>
Size in_portions(std::span<const iovec> data, off_t offset, Transfer transfer) {
    std::size_t done = 0;
    do {
        const auto portion = data.first(std::min<std::size_t>(data.size(), IOV_MAX));
        data = data.subspan(portion.size());
        const auto wanted = total_size(portion);
        const auto moved = transfer(portion, offset + static_cast<off_t>(done));
        if (!moved) {
            return done > 0 ? Size{done} : Size{moved.error()};
        }
        done += std::min(*moved, wanted);
        if (*moved < wanted) {
            break;
        }
    } while (!data.empty());
    return done;
}

/// The range must end at or below INT64_MAX, so that portions cannot run over it.
Outcome<off_t> checked_range(std::uint64_t offset, std::uint64_t size) {
    if (offset > INT64_MAX || size > INT64_MAX - offset) {
        return Errno{EINVAL};
    }
    return static_cast<off_t>(offset);
}

Outcome<std::size_t> copy_file_range(Call& call, std::uint64_t max_length) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<CopyFileRangeIn>());
    VFSKIT_TRY_ASSIGN(const auto offset_in, checked_offset(in.off_in));
    VFSKIT_TRY_ASSIGN(const auto offset_out, checked_offset(in.off_out));
    return call.filesystem.copy_file_range(
        call.context,
        call.node,
        {.handle_in = HandleId{in.fh_in},
         .offset_in = offset_in,
         .node_out = NodeId{in.nodeid_out},
         .handle_out = HandleId{in.fh_out},
         .offset_out = offset_out,
         .length = static_cast<std::size_t>(std::min(in.len, max_length)),
         .flags = in.flags});
}

} // namespace

VFSKIT_REQUEST_PATH Size handle_read(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<ReadIn>());
    const auto data = slice(call.payload, 0, in.size, call.scratch.data);
    VFSKIT_TRY_ASSIGN(const auto start, checked_range(in.offset, in.size));
    ReadArgs args{.handle = HandleId{in.fh},
                  .offset = start,
                  .flags = in.flags,
                  .lock_owner =
                      owner_if((in.read_flags & FUSE_READ_LOCKOWNER) != 0, in.lock_owner)};
    return in_portions(data, start, [&](std::span<const iovec> portion, off_t offset) {
        args.offset = offset;
        return call.filesystem.read(call.context, call.node, args, portion);
    });
}

VFSKIT_REQUEST_PATH Size handle_write(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<WriteIn>());
    if (in.size > call.write_data_size) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto start, checked_range(in.offset, in.size));
    const auto has = [&](std::uint32_t bit) { return (in.write_flags & bit) != 0; };
    const auto data = slice(call.write_data, 0, in.size, call.scratch.data);
    WriteArgs args{.handle = HandleId{in.fh},
                   .offset = start,
                   .flags = in.flags,
                   .is_from_cache = has(FUSE_WRITE_CACHE),
                   .kill_suidgid = has(FUSE_WRITE_KILL_SUIDGID),
                   .lock_owner = owner_if(has(FUSE_WRITE_LOCKOWNER), in.lock_owner)};
    VFSKIT_TRY_ASSIGN(const auto written,
                      in_portions(data, start, [&](std::span<const iovec> portion, off_t offset) {
                          args.offset = offset;
                          return call.filesystem.write(call.context, call.node, args, portion);
                      }));
    call.data_moved = written;
    return answer(call, WriteOut{.size = static_cast<std::uint32_t>(written), .padding = 0});
}

Size handle_copy_file_range(Call& call) {
    // The reply has 32 bits for the count; whole pages keep a clone possible.
    VFSKIT_TRY_ASSIGN(const auto copied, copy_file_range(call, UINT32_MAX & ~0xfffU));
    return answer(call, WriteOut{.size = static_cast<std::uint32_t>(copied), .padding = 0});
}

Size handle_copy_file_range_64(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto copied, copy_file_range(call, INT64_MAX & ~0xfffULL));
    return answer(call, CopyFileRangeOut{.bytes_copied = copied});
}

} // namespace vfskit::fuse

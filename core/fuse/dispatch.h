// SPDX-License-Identifier: Apache-2.0
// From a copied request to a Filesystem method and back: one small function per opcode. Private to
// the room.
#pragma once

#include "core/fuse/arguments.h"
#include "core/fuse/filesystem.h"
#include "core/fuse/options.h"
#include "core/fuse/scatter.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vfskit::fuse {

/// Memory that lives as long as its thread, so that requests need not allocate.
struct CallScratch {
    std::vector<std::byte> request; ///< the copied bytes
    std::vector<std::byte> reply;   ///< values and texts on their way out
    std::vector<iovec> payload;     ///< the writable buffers behind the reply's header
    std::vector<iovec> write_data;  ///< the readable buffers behind a WRITE's fixed part
    std::vector<iovec> data;        ///< of either, as much as the request names
    std::vector<GuestGid> groups;
};

/// One request while it is served.
struct Call {
    Filesystem& filesystem;
    const Options& options;
    const CacheRules& cache_rules;
    const NegotiatedState& negotiated;
    Context context;
    NodeId node{};
    /// The request's bytes behind the header; of a WRITE only the fixed part.
    Arguments arguments{};
    /// The buffers behind the fixed part of a WRITE.
    std::span<const iovec> write_data{};
    std::size_t write_data_size = 0;
    /// Extension records, cut off the arguments.
    std::span<const std::byte> extensions{};
    /// Where the reply's bytes behind its header go.
    std::span<const iovec> payload{};
    std::size_t payload_room = 0;
    CallScratch& scratch;
    Deferral& deferral;
    /// Bytes that a WRITE took, for the counters.
    std::size_t data_moved = 0;
};

/// Answers the bytes written to the payload, or the errno for the guest.
using Handler = Outcome<std::size_t> (*)(Call& call);

struct Operation {
    Handler handler = nullptr;
    /// Bytes that a good reply has at least: asked for before anything is done, so that no effect
    /// stays without its answer.
    std::size_t least_payload = 0;
    /// FORGET and its like: there is no reply, not even an error.
    bool is_silent = false;
};

/// ENOSYS for opcodes that are unknown or not offered. INIT and DESTROY are not here: they change
/// the session.
[[nodiscard]] const Operation& find_operation(std::uint32_t opcode);

} // namespace vfskit::fuse

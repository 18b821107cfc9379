// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/device_state/serialized.h"

#include <cstddef>
#include <span>
#include <vector>

namespace vfskit::device_state {

/// Largest stream that is read: some 10 million inodes with long names. What is larger is not a
/// device state.
inline constexpr std::size_t max_stream_size = std::size_t{1} << 30U;

/// Version 2 of upstream's format, then our trailer if `state` has one.
std::vector<std::byte> encode(const State& state);

/// Reads version 1 or 2 and our trailer. Every name in the result is one component, every path is
/// relative and without "." or "..", every file handle fits the kernel's; whether inodes and
/// handles fit each other is InodeTree's to say. EBADMSG with a sentence otherwise; EPROTONOSUPPORT
/// for a version newer than this code. Bytes behind the first part that are not our trailer are
/// ignored, as upstream does.
Result<State> decode(std::span<const std::byte> bytes);

} // namespace vfskit::device_state

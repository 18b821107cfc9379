// SPDX-License-Identifier: Apache-2.0
// Bytes through the pipe that a front-end gives: both ends can be given up at any time.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <span>
#include <vector>

namespace vfskit::device_state {

/// Writes everything to `fd`, a pipe or socket. ECANCELED as soon as `cancel_fd` is readable.
Result<void> write_all(int fd, int cancel_fd, std::span<const std::byte> bytes);
/// Reads to the end of `fd`; EFBIG above `limit` bytes.
Result<std::vector<std::byte>> read_to_end(int fd, int cancel_fd, std::size_t limit);

} // namespace vfskit::device_state

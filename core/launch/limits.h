// SPDX-License-Identifier: Apache-2.0
// What one share may take from the host.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::launch {

/// Limits of one daemon; absent: none. The kernel's control groups keep them, so systemd is needed.
struct Limits {
    std::optional<std::uint64_t> read_bytes_per_second; ///< io.max rbps
    std::optional<std::uint64_t> write_bytes_per_second;
    std::optional<std::uint64_t> read_operations_per_second; ///< io.max riops
    std::optional<std::uint64_t> write_operations_per_second;
    std::optional<std::uint32_t> cpu_percent; ///< of one CPU; 250 is two and a half
    std::optional<std::uint64_t> memory_bytes;
    /// The block device (or any file on it) that the I/O limits count; absent: the shared
    /// directory's.
    std::optional<std::string> io_device;

    bool operator==(const Limits&) const = default;
    [[nodiscard]] bool is_empty() const { return *this == Limits{}; }
    [[nodiscard]] bool limits_io() const {
        return read_bytes_per_second || write_bytes_per_second || read_operations_per_second ||
               write_operations_per_second;
    }
};

/// A size (base::parse_size) that systemd takes for a limit: EINVAL for zero, ERANGE above 2^63.
Result<std::uint64_t> parse_limit(std::string_view word);

/// What systemd is told to count I/O by for `path`: the block device node below the filesystem that
/// it is on, or `path` itself where the kernel knows that device by number only. ENOTSUP for
/// filesystems that have no one block device (NFS, CephFS, tmpfs, overlay): their I/O cannot be
/// limited by the kernel; the remedy says what can.
Result<std::string> io_limit_target(const std::string& path);

} // namespace vfskit::launch

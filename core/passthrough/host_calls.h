// SPDX-License-Identifier: Apache-2.0
// The system calls of this room in the one form it uses them: relative to a descriptor, never
// following a symbolic link, with newer calls taken where the kernel has them. No function here
// allocates. A result below 0 is a negated errno.
#pragma once

#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vfskit::passthrough {

/// A name_to_handle_at(2) handle: what finds a file again without its name.
struct HostFileHandle {
    static constexpr std::size_t max_size = 128; // MAX_HANDLE_SZ

    int type = 0;
    std::uint8_t size = 0; ///< 0: there is none
    std::array<std::byte, max_size> bytes{};

    [[nodiscard]] explicit operator bool() const { return size != 0; }
    [[nodiscard]] std::span<const std::byte> view() const { return {bytes.data(), size}; }
};

/// True if `name` is one component that names an entry of a directory: not empty, "." or "..", no
/// '/' and no NUL.
[[nodiscard]] bool is_entry_name(std::string_view name);

/// O_PATH on an entry, the link itself if it is one.
[[nodiscard]] int open_entry(int parent_fd, const char* name);
/// Opens or creates an entry for I/O; never through a symbolic link or a magic link.
[[nodiscard]] int open_entry_for_io(int parent_fd, const char* name, int flags, mode_t mode);
/// statx() of what `fd` is, resp. of an entry of it; basic fields, birth time and mount id.
[[nodiscard]] int stat_fd(int fd, struct statx& status);
[[nodiscard]] int stat_entry(int parent_fd, const char* name, struct statx& status);
[[nodiscard]] int get_file_handle(int fd, HostFileHandle& handle, std::uint32_t& mount);
[[nodiscard]] int open_file_handle(int mount_fd, const HostFileHandle& handle, int flags);

/// chmod of what `fd` (also O_PATH) is. `proc_self_fd`: a descriptor of /proc/self/fd.
[[nodiscard]] int change_mode(int fd, int proc_self_fd, mode_t mode);

/// The file type is one whose open() never blocks, has no side effect and gives what the guest
/// expects: regular files and directories.
[[nodiscard]] constexpr bool is_openable(mode_t mode) {
    return S_ISREG(mode) || S_ISDIR(mode);
}

/// "<fd>" as text, for calls relative to a descriptor of /proc/self/fd.
class FdName {
public:
    explicit FdName(int fd);
    [[nodiscard]] const char* c_str() const { return text_.data(); }

private:
    std::array<char, 12> text_{};
};

/// Extended attributes of any kind of file, also of those that cannot be opened, and of symbolic
/// links themselves: as "<fd>" relative to /proc/self/fd, for the calls that take a descriptor
/// refuse an O_PATH one (so does AT_EMPTY_PATH; seen on 6.18). Uses setxattrat(2) and its kin
/// (Linux 6.13); before that /proc/self/fd becomes the working directory of the calling thread
/// alone.
class XattrCalls {
public:
    /// `proc_self_fd`: a descriptor of /proc/self/fd, borrowed.
    explicit XattrCalls(int proc_self_fd);

    [[nodiscard]] ssize_t get(int fd, const char* name, std::span<std::byte> value) const;
    [[nodiscard]] ssize_t list(int fd, std::span<std::byte> names) const;
    [[nodiscard]] int
    set(int fd, const char* name, std::span<const std::byte> value, int flags) const;
    [[nodiscard]] int remove(int fd, const char* name) const;

private:
    int proc_self_fd_;
    std::uint64_t directory_id_;
    bool has_xattrat_;
};

} // namespace vfskit::passthrough

// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/host_calls.h"

#include "core/passthrough/credentials.h"

#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace vfskit::passthrough {

namespace {

// Numbers that the headers of our oldest distribution do not have yet; since 5.1 every architecture
// numbers new calls alike.
constexpr long sys_fchmodat2 = 452;
constexpr long sys_setxattrat = 463;
constexpr long sys_getxattrat = 464;
constexpr long sys_listxattrat = 465;
constexpr long sys_removexattrat = 466;

/// struct xattr_args of linux/xattr.h.
struct XattrArgs {
    std::uint64_t value;
    std::uint32_t size;
    std::uint32_t flags;
};
static_assert(sizeof(XattrArgs) == 16);

int negated(long result) {
    return result < 0 ? -errno : static_cast<int>(result);
}

constexpr unsigned stat_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;

// A seccomp filter in front of us must let the newer calls through, or answer ENOSYS too.
bool is_missing(int result) {
    return result == -ENOSYS;
}

std::atomic<bool> has_openat2{true};
std::atomic<bool> has_fchmodat2{true};

int open_guarded(int parent_fd, const char* name, int flags, mode_t mode) {
    flags |= O_NOFOLLOW | O_CLOEXEC;
    if (has_openat2.load(std::memory_order_relaxed)) {
        open_how how{};
        how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags));
        how.mode = mode;
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        const int fd = negated(::syscall(SYS_openat2, parent_fd, name, &how, sizeof(how)));
        if (!is_missing(fd)) {
            return fd;
        }
        has_openat2.store(false, std::memory_order_relaxed);
    }
    // One component that is not ".." and is not followed cannot leave its directory either.
    return negated(::openat(parent_fd, name, flags, mode));
}

} // namespace

bool is_entry_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

int open_entry(int parent_fd, const char* name) {
    return open_guarded(parent_fd, name, O_PATH, 0);
}

int open_entry_for_io(int parent_fd, const char* name, int flags, mode_t mode) {
    // openat2() refuses a mode without O_CREAT and mode bits beyond 07777.
    const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return open_guarded(parent_fd, name, flags, creates ? mode & 07777 : 0);
}

int stat_fd(int fd, struct statx& status) {
    return negated(::statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, stat_mask, &status));
}

int stat_entry(int parent_fd, const char* name, struct statx& status) {
    return negated(
        ::statx(parent_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, stat_mask, &status));
}

namespace {

/// struct file_handle with room behind it.
struct HandleBuffer {
    unsigned int bytes;
    int type;
    std::array<std::byte, HostFileHandle::max_size> data;
};
static_assert(offsetof(HandleBuffer, data) == sizeof(file_handle));

} // namespace

int get_file_handle(int fd, HostFileHandle& handle, std::uint32_t& mount) {
    HandleBuffer buffer;
    buffer.bytes = HostFileHandle::max_size;
    int mount_id = 0;
    const int result =
        negated(::syscall(SYS_name_to_handle_at, fd, "", &buffer, &mount_id, AT_EMPTY_PATH));
    if (result < 0) {
        return result;
    }
    handle.type = buffer.type;
    handle.size = static_cast<std::uint8_t>(buffer.bytes);
    std::copy_n(buffer.data.begin(), buffer.bytes, handle.bytes.begin());
    mount = static_cast<std::uint32_t>(mount_id);
    return 0;
}

int open_file_handle(int mount_fd, const HostFileHandle& handle, int flags) {
    HandleBuffer buffer;
    buffer.bytes = handle.size;
    buffer.type = handle.type;
    std::copy_n(handle.bytes.begin(), handle.size, buffer.data.begin());
    return negated(
        ::syscall(SYS_open_by_handle_at, mount_fd, &buffer, flags | O_NOFOLLOW | O_CLOEXEC));
}

int change_mode(int fd, int proc_self_fd, mode_t mode) {
    if (has_fchmodat2.load(std::memory_order_relaxed)) {
        const int result = negated(::syscall(sys_fchmodat2, fd, "", mode, AT_EMPTY_PATH));
        if (!is_missing(result)) {
            return result;
        }
        has_fchmodat2.store(false, std::memory_order_relaxed);
    }
    return negated(::fchmodat(proc_self_fd, FdName{fd}.c_str(), mode, 0));
}

FdName::FdName(int fd) {
    const auto end = fmt::format_to_n(text_.begin(), text_.size() - 1, "{}", fd);
    *end.out = '\0';
}

namespace {

std::uint64_t next_directory_id() {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1);
}

bool probe_xattrat() {
    // A call that cannot succeed: no such descriptor. ENOSYS says that there is no such call.
    return negated(::syscall(sys_listxattrat, -1, "", AT_EMPTY_PATH, nullptr, 0)) == -EBADF;
}

XattrArgs args_of(const void* value, std::size_t size, int flags) {
    XattrArgs args{};
    args.value = reinterpret_cast<std::uintptr_t>(value);
    args.size = static_cast<std::uint32_t>(size);
    args.flags = static_cast<std::uint32_t>(flags);
    return args;
}

ssize_t negated_size(long result) {
    return result < 0 ? -errno : static_cast<ssize_t>(result);
}

} // namespace

XattrCalls::XattrCalls(int proc_self_fd)
    : proc_self_fd_{proc_self_fd}, directory_id_{next_directory_id()}, has_xattrat_{
                                                                           probe_xattrat()} {}

ssize_t XattrCalls::get(int fd, const char* name, std::span<std::byte> value) const {
    if (has_xattrat_) {
        auto args = args_of(value.data(), value.size(), 0);
        return negated_size(::syscall(
            sys_getxattrat, proc_self_fd_, FdName{fd}.c_str(), 0, name, &args, sizeof(args)));
    }
    if (const int error = set_thread_directory(proc_self_fd_, directory_id_); error != 0) {
        return -error;
    }
    return negated_size(::getxattr(FdName{fd}.c_str(), name, value.data(), value.size()));
}

ssize_t XattrCalls::list(int fd, std::span<std::byte> names) const {
    if (has_xattrat_) {
        return negated_size(::syscall(
            sys_listxattrat, proc_self_fd_, FdName{fd}.c_str(), 0, names.data(), names.size()));
    }
    if (const int error = set_thread_directory(proc_self_fd_, directory_id_); error != 0) {
        return -error;
    }
    return negated_size(
        ::listxattr(FdName{fd}.c_str(), reinterpret_cast<char*>(names.data()), names.size()));
}

int XattrCalls::set(int fd, const char* name, std::span<const std::byte> value, int flags) const {
    if (has_xattrat_) {
        auto args = args_of(value.data(), value.size(), flags);
        return negated(::syscall(
            sys_setxattrat, proc_self_fd_, FdName{fd}.c_str(), 0, name, &args, sizeof(args)));
    }
    if (const int error = set_thread_directory(proc_self_fd_, directory_id_); error != 0) {
        return -error;
    }
    return negated(::setxattr(FdName{fd}.c_str(), name, value.data(), value.size(), flags));
}

int XattrCalls::remove(int fd, const char* name) const {
    if (has_xattrat_) {
        return negated(::syscall(sys_removexattrat, proc_self_fd_, FdName{fd}.c_str(), 0, name));
    }
    if (const int error = set_thread_directory(proc_self_fd_, directory_id_); error != 0) {
        return -error;
    }
    return negated(::removexattr(FdName{fd}.c_str(), name));
}

} // namespace vfskit::passthrough

// SPDX-License-Identifier: Apache-2.0
// pread(2) and pwrite(2), inline where we know how. A thread may be cancelled in glibc's functions,
// which costs them two locked instructions and several calls, and what returns after a system call
// is mispredicted (core/base/request_path.h). Under sanitizers they are glibc's, for those look at
// what is read and written there.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace vfskit::passthrough {

#if defined(__has_feature)
#define VFSKIT_HAS_FEATURE(name) __has_feature(name) // clang's
#else
#define VFSKIT_HAS_FEATURE(name) 0
#endif

#if defined(__x86_64__) && defined(__LP64__) && !defined(__SANITIZE_ADDRESS__) &&                  \
    !defined(__SANITIZE_THREAD__) && !VFSKIT_HAS_FEATURE(address_sanitizer) &&                     \
    !VFSKIT_HAS_FEATURE(thread_sanitizer) && !VFSKIT_HAS_FEATURE(memory_sanitizer)

namespace data_calls_detail {

// The kernel's convention: System V ABI, AMD64 supplement, A.2.1.
inline ssize_t call(long number, int fd, const void* data, std::size_t size, off_t offset) {
    long result = 0;
    asm volatile(
        "movq %[offset], %%r10\n\t"
        "syscall"
        : "=a"(result)
        : "a"(number), "D"(static_cast<long>(fd)), "S"(data), "d"(size), [offset] "r"(offset)
        : "r10", "rcx", "r11", "memory");
    if (result < 0) {
        errno = static_cast<int>(-result);
        return -1;
    }
    return result;
}

} // namespace data_calls_detail

/// As pread(2): the bytes read, or -1 and errno. Any thread.
inline ssize_t read_at(int fd, void* data, std::size_t size, off_t offset) {
    return data_calls_detail::call(SYS_pread64, fd, data, size, offset);
}

/// As pwrite(2): the bytes written, or -1 and errno. Any thread.
inline ssize_t write_at(int fd, const void* data, std::size_t size, off_t offset) {
    return data_calls_detail::call(SYS_pwrite64, fd, data, size, offset);
}

#else

inline ssize_t read_at(int fd, void* data, std::size_t size, off_t offset) {
    return ::pread(fd, data, size, offset);
}

inline ssize_t write_at(int fd, const void* data, std::size_t size, off_t offset) {
    return ::pwrite(fd, data, size, offset);
}

#endif

#undef VFSKIT_HAS_FEATURE

} // namespace vfskit::passthrough

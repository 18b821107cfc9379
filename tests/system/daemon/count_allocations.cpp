// SPDX-License-Identifier: Apache-2.0
// Loaded before the daemon's libraries: counts its allocations and, at its end, writes their number
// to the file that VFSKIT_ALLOCATIONS names.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

// glibc's own, under the names that are left when ours stand before them.
extern "C" void* __libc_malloc(std::size_t size);                          // NOLINT
extern "C" void* __libc_calloc(std::size_t count, std::size_t size);       // NOLINT
extern "C" void* __libc_realloc(void* memory, std::size_t size);           // NOLINT
extern "C" void* __libc_memalign(std::size_t alignment, std::size_t size); // NOLINT

namespace {

std::atomic<unsigned long> allocations{0};

__attribute__((destructor)) void tell() {
    const char* path = std::getenv("VFSKIT_ALLOCATIONS");
    const int fd = path == nullptr ? -1 : ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        ::dprintf(fd, "%lu\n", allocations.load());
        ::close(fd);
    }
}

void count() {
    allocations.fetch_add(1, std::memory_order_relaxed);
}

} // namespace

extern "C" void* malloc(std::size_t size) noexcept {
    count();
    return __libc_malloc(size);
}

extern "C" void* calloc(std::size_t number, std::size_t size) noexcept {
    count();
    return __libc_calloc(number, size);
}

extern "C" void* realloc(void* memory, std::size_t size) noexcept {
    count();
    return __libc_realloc(memory, size);
}

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    count();
    return __libc_memalign(alignment, size);
}

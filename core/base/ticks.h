// SPDX-License-Identifier: Apache-2.0
// A clock that costs a few nanoseconds, for decisions that need no more than the order of
// magnitude. steady_clock takes 25 ns at best and a system call where the guest's clock source is
// not the TSC.
#pragma once

#include <chrono>
#include <cstdint>

namespace vfskit {

inline std::uint64_t ticks_now() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    std::uint64_t ticks = 0;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Measured once against steady_clock, over a millisecond.
std::uint64_t ticks_per_microsecond();

/// Tells the CPU that this is a waiting loop.
inline void relax_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

} // namespace vfskit

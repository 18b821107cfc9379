// SPDX-License-Identifier: Apache-2.0
// A clock that costs a few nanoseconds, for decisions and statistics: any thread. steady_clock
// takes 25 ns at best and a system call where the host's clock source is not the TSC.
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

/// Measured once against steady_clock, over a millisecond; the first call takes that long.
std::uint64_t ticks_per_microsecond();
/// How long `ticks` last, to some 0.01 %.
std::chrono::nanoseconds time_of_ticks(std::uint64_t ticks);

/// Tells the CPU that this is a waiting loop.
inline void relax_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

} // namespace vfskit

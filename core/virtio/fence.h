// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace vfskit::virtio {

/// Orders every store before it against every load after it. ThreadSanitizer does not model fences;
/// an atomic exchange on a shared location is a stronger thing that it does.
inline void full_fence() {
#if defined(__SANITIZE_THREAD__)
    static std::atomic<int> shared{0};
    shared.exchange(0, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Between a reply that the guest is shown and a request that is taken from it lies the guest,
/// which may use the memory of the one for the other, on another ring too. ThreadSanitizer does not
/// see what the guest does to order them, so it is told; in other builds this is nothing.
inline void order_through_guest() {
#if defined(__SANITIZE_THREAD__)
    full_fence();
#endif
}

} // namespace vfskit::virtio

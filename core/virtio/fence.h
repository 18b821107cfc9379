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

} // namespace vfskit::virtio

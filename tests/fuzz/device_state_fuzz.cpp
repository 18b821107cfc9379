// SPDX-License-Identifier: Apache-2.0
// The device state that a migration brings: whatever the bytes, reading them ends in a state that
// is sound or in an error, and a state that was read survives being written and read again.
#include "core/device_state/inode_tree.h"
#include "core/device_state/stream.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vfskit::device_state;
    const auto state = decode(std::as_bytes(std::span{data, size}));
    if (!state) {
        return 0;
    }
    const auto again = decode(encode(*state));
    if (!again || !(*again == *state)) {
        std::abort();
    }
    const auto tree = InodeTree::make(*state);
    if (tree && tree->order.size() != state->inodes.size()) {
        std::abort();
    }
    return 0;
}

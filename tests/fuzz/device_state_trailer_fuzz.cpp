// SPDX-License-Identifier: Apache-2.0
// The trailer's sections behind a first part that is right, under a checksum that is right: which a
// fuzzer of the whole stream does not guess.
#include "core/device_state/inode_tree.h"
#include "core/device_state/stream.h"
#include "core/device_state/trailer.h"
#include "tests/unit/device_state/streams.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace vfskit;
using namespace vfskit::device_state;

using Bytes = std::vector<std::byte>;

/// What stands before the trailer of `state`.
Bytes first_part(const State& state) {
    auto bytes = encode(state);
    const auto magic = base::as_bytes(trailer_magic);
    bytes.erase(std::search(bytes.begin(), bytes.end(), magic.begin(), magic.end()), bytes.end());
    return bytes;
}

State without_locks() {
    auto state = test::full_state();
    state.trailer->locks = {};
    return state;
}

void read(const Bytes& first, std::span<const std::byte> sections) {
    PostcardWriter writer;
    writer.write_raw(first);
    append_sections(writer, sections);
    const auto state = decode(writer.bytes());
    if (!state) {
        return;
    }
    const auto again = decode(encode(*state));
    if (!again || !(*again == *state)) {
        std::abort();
    }
    const auto tree = InodeTree::make(*state);
    if (tree && tree->order.size() != state->inodes.size()) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Bytes with = first_part(test::full_state());
    static const Bytes without = first_part(without_locks());
    const auto sections = std::as_bytes(std::span{data, size});
    read(with, sections);
    read(without, sections);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Sequences of FUSE requests against a filesystem in memory: decode, dispatch, encode.
#include "tests/fuzz/fuse_guest_fuzz.h"
#include "tests/support/memory_fs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    vfskit::test::InputBytes input{data, size};
    vfskit::fuse::MemoryFs filesystem;
    vfskit::fuse::Session session{filesystem, vfskit::test::fuzzed_options(input)};
    vfskit::test::FuzzedGuest{session}.run(input);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Streams seen from upstream virtiofsd 1.13.2 and 1.14.0, which write the same bytes, and what they
// mean.
#pragma once

#include "core/device_state/serialized.h"

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::test {

/// "01 0a" as bytes; blanks and line feeds do not count.
inline std::vector<std::byte> from_hex(std::string_view text) {
    std::string digits;
    for (const char c : text) {
        if (std::isxdigit(static_cast<unsigned char>(c)) != 0) {
            digits += c;
        }
    }
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

// A daemon whose guest has not mounted.
inline constexpr std::string_view unmounted_stream = "01 00 02 00 00 00 00 00 00 00";

// find-paths: the guest has a.txt looked up twice, dir, dir/sub, dir/sub/b open for reading and
// writing, and dir open.
inline constexpr std::string_view paths_stream = "01 05"
                                                 "01 04 00 00"
                                                 "02 02 01 01 05 61 2e 74 78 74 00"
                                                 "03 02 01 01 03 64 69 72 00"
                                                 "04 02 01 03 03 73 75 62 00"
                                                 "05 01 01 04 01 62 00"
                                                 "06"
                                                 "02"
                                                 "00 05 00 84 80 04"
                                                 "01 03 00 80 80 08"
                                                 "02"
                                                 "00 01 00 01"
                                                 "00";

// The same without the mounts, as older daemons sent it.
inline std::string v1_stream() {
    std::string hex{paths_stream};
    hex.replace(0, 2, "00");
    hex.resize(hex.size() - 2);
    return hex;
}

// file-handles: the root and one file of ext4.
inline constexpr std::string_view handles_stream = "01 02"
                                                   "01 02 00 00"
                                                   "02 02 04 1b 02 08 01 02 03 04 05 06 07 08 00"
                                                   "03 00 00"
                                                   "00 01 00 01"
                                                   "01 1b 01 2e";

// find-paths with --migration-verify-handles.
inline constexpr std::string_view verified_stream =
    "01 02"
    "01 03 00 01 1b 02 08 08 07 06 05 04 03 02 01"
    "02 01 01 01 01 61 01 1b 02 08 01 02 03 04 05 06 07 08"
    "03 00 00"
    "00 01 00 01"
    "00";

inline device_state::State paths_state() {
    using namespace device_state;
    State state;
    state.inodes = {{NodeId{1}, 4, RootLocation{}, {}},
                    {NodeId{2}, 2, PathLocation{NodeId{1}, "a.txt"}, {}},
                    {NodeId{3}, 2, PathLocation{NodeId{1}, "dir"}, {}},
                    {NodeId{4}, 2, PathLocation{NodeId{3}, "sub"}, {}},
                    {NodeId{5}, 1, PathLocation{NodeId{4}, "b"}, {}}};
    state.next_inode = NodeId{6};
    state.handles = {{HandleId{0}, NodeId{5}, 0100002}, {HandleId{1}, NodeId{3}, 0200000}};
    state.next_handle = HandleId{2};
    state.options = {false, true, false, true};
    return state;
}

/// Everything that a stream can hold.
inline device_state::State full_state() {
    using namespace device_state;
    const FileHandle handle{27, 1, from_hex("0102030405060708")};
    auto state = paths_state();
    state.inodes[0].refcount = 5;
    state.inodes[0].verify_handle = handle;
    state.inodes.push_back({NodeId{6}, 1, InvalidLocation{}, {}});
    state.inodes.push_back({NodeId{7}, 1, FullPathLocation{"old/place"}, handle});
    state.inodes.push_back({NodeId{8}, 3, FileHandleLocation{handle}, {}});
    state.inodes.push_back({NodeId{9}, 1, InvalidLocation{}, {}});
    state.next_inode = NodeId{10};
    state.mounts = {{27, "."}, {28, "sub/mount"}};
    Trailer trailer;
    trailer.negotiated = {38, 0x1044844f829, 131072, 1U << 20U, 256};
    trailer.identity = {"boot", "machine", 0xef53, 0x1122334455667788, 0x801, 2, -5, 7, handle};
    trailer.guest_flags = {{HandleId{0}, 0102002}};
    trailer.places = {{NodeId{6}, NodeId{1}, "not\xffutf8"}, {NodeId{8}, NodeId{3}, "was here"}};
    trailer.locks.posix = {{NodeId{5}, fuse::LockOwner{0xfedcba9876543210}, 0, 99, true, 4711},
                           {NodeId{5}, fuse::LockOwner{1}, 200, INT64_MAX, false, 0}};
    trailer.locks.flocks = {HandleId{1}};
    trailer.nameless = {{NodeId{9}, handle}};
    trailer.offer = DescriptorOffer{"0123abcd.sock", {}};
    trailer.offer->token.fill(std::byte{0xa5});
    trailer.numbers = {{NodeId{1}, 0x801, 2, 7}, {NodeId{5}, 0x801, UINT64_MAX, 0}};
    trailer.opened = {{NodeId{5}, handle}};
    state.trailer = trailer;
    return state;
}

} // namespace vfskit::test

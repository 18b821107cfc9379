// SPDX-License-Identifier: Apache-2.0
// The address spaces that meet in a back-end. They look alike and mean different things, so each is
// a type of its own; our own addresses are plain pointers.
#pragma once

#include <cstdint>

namespace vfskit::virtio {

/// A guest physical address: what descriptors and the dirty log speak.
enum class GuestAddress : std::uint64_t {};
/// An address in the front-end's process: what SET_VRING_ADDR and the memory table speak.
enum class UserAddress : std::uint64_t {};

constexpr std::uint64_t to_integer(GuestAddress address) {
    return static_cast<std::uint64_t>(address);
}
constexpr std::uint64_t to_integer(UserAddress address) {
    return static_cast<std::uint64_t>(address);
}

} // namespace vfskit::virtio

// SPDX-License-Identifier: Apache-2.0
// The two ways to add blocks to a SHA-1. For sha1.cpp and its test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vfskit::base {

using Sha1State = std::array<std::uint32_t, 5>;
inline constexpr std::size_t sha1_block_size = 64;

void add_sha1_blocks_portably(Sha1State& state, const char* blocks, std::size_t count);

/// True if this CPU has the instructions (x86 SHA extensions).
bool has_sha1_instructions();
/// The same by them. Precondition: has_sha1_instructions().
void add_sha1_blocks_by_instructions(Sha1State& state, const char* blocks, std::size_t count);

} // namespace vfskit::base

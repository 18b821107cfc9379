// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha1.h"

#include "core/base/sha1_blocks.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vfskit::base {

namespace {

using State = Sha1State;
constexpr std::size_t block_size = sha1_block_size;

std::uint32_t load_be32(const char* at) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(at);
    return (std::uint32_t{bytes[0]} << 24U) | (std::uint32_t{bytes[1]} << 16U) |
           (std::uint32_t{bytes[2]} << 8U) | std::uint32_t{bytes[3]};
}

// FIPS 180-4, 4.1.1: the function of b, c, d in each quarter of the eighty rounds.
template <int quarter>
std::uint32_t mix(std::uint32_t b, std::uint32_t c, std::uint32_t d) {
    if constexpr (quarter == 0) {
        return d ^ (b & (c ^ d));
    } else if constexpr (quarter == 2) {
        return (b & c) | (d & (b | c));
    } else {
        return b ^ c ^ d;
    }
}

template <int quarter>
void round(std::uint32_t a,
           std::uint32_t& b,
           std::uint32_t c,
           std::uint32_t d,
           std::uint32_t& e,
           std::uint32_t word) {
    constexpr std::array<std::uint32_t, 4> constants{
        0x5a827999U, 0x6ed9eba1U, 0x8f1bbcdcU, 0xca62c1d6U};
    e += std::rotl(a, 5) + mix<quarter>(b, c, d) + constants[quarter] + word;
    b = std::rotl(b, 30);
}

// Twenty rounds; five at a time, so that the letters rotate by name and not by moves.
template <int quarter>
void rounds(State& s, const std::array<std::uint32_t, 80>& words) {
    constexpr std::size_t first = std::size_t{quarter} * 20;
    for (std::size_t t = first; t < first + 20; t += 5) {
        round<quarter>(s[0], s[1], s[2], s[3], s[4], words[t]);
        round<quarter>(s[4], s[0], s[1], s[2], s[3], words[t + 1]);
        round<quarter>(s[3], s[4], s[0], s[1], s[2], words[t + 2]);
        round<quarter>(s[2], s[3], s[4], s[0], s[1], words[t + 3]);
        round<quarter>(s[1], s[2], s[3], s[4], s[0], words[t + 4]);
    }
}

void add_block(State& state, const char* block) {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t t = 0; t < 16; ++t) {
        words[t] = load_be32(block + t * 4);
    }
    for (std::size_t t = 16; t < 80; ++t) {
        words[t] = std::rotl(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1);
    }
    State s = state;
    rounds<0>(s, words);
    rounds<1>(s, words);
    rounds<2>(s, words);
    rounds<3>(s, words);
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] += s[i];
    }
}

void add_blocks(State& state, const char* blocks, std::size_t count) {
    static const bool by_instructions = has_sha1_instructions();
    if (by_instructions) {
        add_sha1_blocks_by_instructions(state, blocks, count);
    } else {
        add_sha1_blocks_portably(state, blocks, count);
    }
}

} // namespace

void add_sha1_blocks_portably(Sha1State& state, const char* blocks, std::size_t count) {
    for (; count > 0; --count, blocks += block_size) {
        add_block(state, blocks);
    }
}

std::string sha1_hex(std::string_view bytes) {
    State state{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
    const std::size_t whole = bytes.size() / block_size;
    add_blocks(state, bytes.data(), whole);
    const std::string_view rest = bytes.substr(whole * block_size);
    // Padding: one bit, zeros, the length in bits as 64 bits big endian.
    std::array<char, 2 * block_size> tail{};
    if (!rest.empty()) {
        std::memcpy(tail.data(), rest.data(), rest.size());
    }
    tail[rest.size()] = static_cast<char>(0x80);
    const std::size_t tail_size = rest.size() + 9 <= block_size ? block_size : 2 * block_size;
    const std::uint64_t bits = std::uint64_t{bytes.size()} * 8;
    for (std::size_t i = 0; i < 8; ++i) {
        tail[tail_size - 1 - i] = static_cast<char>((bits >> (8 * i)) & 0xffU);
    }
    add_blocks(state, tail.data(), tail_size / block_size);
    return fmt::format(
        "{:08x}{:08x}{:08x}{:08x}{:08x}", state[0], state[1], state[2], state[3], state[4]);
}

} // namespace vfskit::base

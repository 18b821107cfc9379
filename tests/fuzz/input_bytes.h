// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vfskit::test {

/// Hands out a fuzzer's input front to back; past the end everything is zero.
class InputBytes {
public:
    InputBytes(const std::uint8_t* data, std::size_t size) : rest_{data, size} {}

    [[nodiscard]] bool is_at_end() const { return rest_.empty(); }

    template <class T>
    T take() {
        T value{};
        const std::size_t count = rest_.size() < sizeof value ? rest_.size() : sizeof value;
        if (count > 0) {
            std::memcpy(&value, rest_.data(), count);
        }
        rest_ = rest_.subspan(count);
        return value;
    }

private:
    std::span<const std::uint8_t> rest_;
};

} // namespace vfskit::test

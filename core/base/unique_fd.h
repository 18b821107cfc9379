// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace vfskit::base {

/// Owns one file descriptor and closes it once. Move-only; -1 means "none". Not for the descriptors
/// that the caller only borrows: those stay plain `int fd`.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_{fd} {}
    UniqueFd(UniqueFd&& other) noexcept : fd_{other.release()} {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool is_valid() const { return fd_ >= 0; }
    explicit operator bool() const { return is_valid(); }
    /// Gives the descriptor up to the caller.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    /// Closes what is held and takes `fd`. errno is left as it was.
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

} // namespace vfskit::base

namespace vfskit {
using base::UniqueFd;
} // namespace vfskit

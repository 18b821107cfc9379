// SPDX-License-Identifier: Apache-2.0
// What a Filesystem answers: a value or the errno for the guest. Unlike base::Result it carries no
// sentence and never allocates, for it is made once per request.
#pragma once

#include "core/base/result.h" // VFSKIT_TRY

#include <cassert>
#include <cerrno>
#include <type_traits>
#include <utility>

namespace vfskit::fuse {

/// A positive errno of Linux's generic table: `Errno{ENOENT}`.
enum class Errno : int {};

/// The calling thread's errno; EIO should it be 0, so that a failure stays one.
[[nodiscard]] inline Errno last_errno() {
    return Errno{errno > 0 ? errno : EIO};
}

/// A T or an Errno. Works with VFSKIT_TRY and VFSKIT_TRY_ASSIGN.
template <class T>
class [[nodiscard]] Outcome {
public:
    using value_type = T;

    Outcome(T value) : value_{std::move(value)} {}
    Outcome(Errno error) : error_{error} { assert(static_cast<int>(error) > 0); }

    [[nodiscard]] bool has_value() const { return error_ == Errno{}; }
    explicit operator bool() const { return has_value(); }

    /// Precondition of *, -> and value(): has_value(). Of error(): !has_value().
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T* operator->() { return &value(); }
    [[nodiscard]] const T* operator->() const { return &value(); }
    [[nodiscard]] T& value() & {
        assert(has_value());
        return value_;
    }
    [[nodiscard]] const T& value() const& {
        assert(has_value());
        return value_;
    }
    [[nodiscard]] T&& value() && {
        assert(has_value());
        return std::move(value_);
    }
    [[nodiscard]] Errno error() const { return error_; }

private:
    T value_{};
    Errno error_{};
};

/// Success without a value (`return {};`) or an Errno.
template <>
class [[nodiscard]] Outcome<void> {
public:
    using value_type = void;

    Outcome() = default;
    Outcome(Errno error) : error_{error} { assert(static_cast<int>(error) > 0); }

    [[nodiscard]] bool has_value() const { return error_ == Errno{}; }
    explicit operator bool() const { return has_value(); }
    [[nodiscard]] Errno error() const { return error_; }

private:
    Errno error_{};
};

} // namespace vfskit::fuse

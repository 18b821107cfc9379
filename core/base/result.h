// SPDX-License-Identifier: Apache-2.0
// Expected failure is a value: Result<T> holds a T or an Error, and neither can be dropped unseen.
#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace vfskit::base {

/// Where a failure was found: a file, a line of it (1-based, 0 = not known) and a key in it.
/// Any part may be empty; an empty Place is left out of the sentence.
struct Place {
    std::string file;
    std::size_t line = 0;
    std::string key;

    bool operator==(const Place&) const = default;
};

/// What failed (one sentence, capital letter, quoted names, no full stop), the errno behind it,
/// where, and what to do about it. Immutable but for the builders at(), because(), with_remedy()
/// and under(). Thread-safe as any value type is.
class [[nodiscard]] Error {
public:
    /// `errno_code` is what a POSIX caller would see (EINVAL for bad input, EAGAIN for a lost race,
    /// …).
    Error(int errno_code, std::string message) : code_{errno_code}, message_{std::move(message)} {}

    /// The failure of a system call: the message gets ": " and strerror(errno_code) appended.
    static Error from_errno(int errno_code, std::string_view message);

    [[nodiscard]] int code() const { return code_; }
    [[nodiscard]] const std::string& message() const { return message_; }
    [[nodiscard]] const Place& place() const { return place_; }
    [[nodiscard]] const std::string& remedy() const { return remedy_; }

    /// Sets the parts of the place that are still empty, so the innermost (most exact) one wins.
    Error at(Place place) &&;
    /// Sets the remedy if none is set yet. One imperative sentence: "Give the mapping another id".
    Error with_remedy(std::string remedy) &&;
    /// Puts what was being done in front: "<doing>: <message>".
    Error under(std::string_view doing) &&;

    /// The whole in one line: "FILE:LINE: key 'KEY': MESSAGE. REMEDY."
    [[nodiscard]] std::string describe() const;

private:
    int code_;
    std::string message_;
    Place place_;
    std::string remedy_;
};

/// A T or an Error. The member names are those of std::expected, which this becomes with C++23.
template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
    Result(Error error) : state_{std::in_place_index<1>, std::move(error)} {}

    [[nodiscard]] bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    /// Precondition of *, -> and value(): has_value(). Of error(): !has_value().
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
    [[nodiscard]] T* operator->() { return &value(); }
    [[nodiscard]] const T* operator->() const { return &value(); }
    [[nodiscard]] T& value() & {
        assert(has_value());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] const T& value() const& {
        assert(has_value());
        return *std::get_if<0>(&state_);
    }
    [[nodiscard]] T&& value() && {
        assert(has_value());
        return std::move(*std::get_if<0>(&state_));
    }
    template <class U>
    [[nodiscard]] T value_or(U&& fallback) const& {
        return has_value() ? **this : static_cast<T>(std::forward<U>(fallback));
    }
    [[nodiscard]] const Error& error() const& {
        assert(!has_value());
        return *std::get_if<1>(&state_);
    }
    [[nodiscard]] Error&& error() && {
        assert(!has_value());
        return std::move(*std::get_if<1>(&state_));
    }

private:
    std::variant<T, Error> state_;
};

/// Success without a value, or an Error. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_{std::move(error)} {}

    [[nodiscard]] bool has_value() const { return !error_.has_value(); }
    explicit operator bool() const { return has_value(); }
    [[nodiscard]] const Error& error() const& {
        assert(!has_value());
        return *error_;
    }
    [[nodiscard]] Error&& error() && {
        assert(!has_value());
        return std::move(*error_);
    }

private:
    std::optional<Error> error_;
};

} // namespace vfskit::base

namespace vfskit {
// Every room speaks these without a prefix.
using base::Error;
using base::Place;
using base::Result;
} // namespace vfskit

#define VFSKIT_CONCAT_INNER(a, b) a##b
#define VFSKIT_CONCAT(a, b) VFSKIT_CONCAT_INNER(a, b)

/// VFSKIT_TRY(expr): leaves the function with expr's Error if it failed. For Result<void>.
#define VFSKIT_TRY(expr)                                                                           \
    do {                                                                                           \
        if (auto vfskit_try_result = (expr); !vfskit_try_result) {                                 \
            return std::move(vfskit_try_result).error();                                           \
        }                                                                                          \
    } while (false)

/// VFSKIT_TRY_ASSIGN(auto name, expr): declares or assigns `name` from expr's value, or leaves the
/// function with its Error.
#define VFSKIT_TRY_ASSIGN(target, expr)                                                            \
    VFSKIT_TRY_ASSIGN_IMPL(VFSKIT_CONCAT(vfskit_try_, __LINE__), target, expr)
// NOLINTBEGIN(bugprone-macro-parentheses): target is a declaration or a name, which parentheses
// would break
#define VFSKIT_TRY_ASSIGN_IMPL(tmp, target, expr)                                                  \
    auto tmp = (expr);                                                                             \
    if (!tmp) {                                                                                    \
        return std::move(tmp).error();                                                             \
    }                                                                                              \
    target = std::move(tmp).value()
// NOLINTEND(bugprone-macro-parentheses)

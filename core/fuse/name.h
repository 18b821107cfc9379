// SPDX-License-Identifier: Apache-2.0
// Texts of a request after the check: borrowed, NUL-terminated, valid until the request is
// answered.
#pragma once

#include "core/fuse/outcome.h"

#include <cstddef>
#include <string_view>

namespace vfskit::fuse {

/// A borrowed text without a NUL inside and with one behind its end, fit for system calls.
class CString {
public:
    CString() = default;
    /// For literals and other texts of which the caller knows that they end with NUL.
    explicit CString(const char* text) : text_{text} {}
    /// text[size] is NUL and none is before it.
    CString(const char* text, std::size_t size) : text_{text, size} {}

    [[nodiscard]] const char* c_str() const { return text_.data(); }
    [[nodiscard]] std::string_view view() const { return text_; }
    [[nodiscard]] std::size_t size() const { return text_.size(); }

private:
    std::string_view text_{""};
};

/// One component of a path: not empty, no '/', neither "." nor "..", at most 255 bytes. Whoever
/// holds a Name may pass it to openat(2) and friends without leaving the directory, but for
/// following a symbolic link.
class Name {
public:
    static constexpr std::size_t max_size = 255;

    /// EINVAL, or ENAMETOOLONG.
    static Outcome<Name> parse(CString text);

    [[nodiscard]] const char* c_str() const { return text_.c_str(); }
    [[nodiscard]] std::string_view view() const { return text_.view(); }

private:
    friend class Outcome<Name>;
    Name() = default;
    explicit Name(CString text) : text_{text} {}

    CString text_;
};

} // namespace vfskit::fuse

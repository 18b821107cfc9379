// SPDX-License-Identifier: Apache-2.0
// The copied bytes behind a request's header, taken front to back; every lack is EINVAL.
#pragma once

#include "core/fuse/filesystem.h"
#include "core/fuse/name.h"
#include "core/fuse/outcome.h"

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace vfskit::fuse {

class Arguments {
public:
    Arguments() = default;
    explicit Arguments(std::span<const std::byte> bytes) : rest_{bytes} {}

    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

    template <class T>
    requires std::is_trivially_copyable_v<T> Outcome<T> read() { return read_prefix<T>(sizeof(T)); }

    /// A struct of which older guests send only the first `size` bytes; the rest is zero.
    template <class T>
    requires std::is_trivially_copyable_v<T> Outcome<T> read_prefix(std::size_t size) {
        if (rest_.size() < size) {
            return Errno{EINVAL};
        }
        T value{};
        std::memcpy(&value, rest_.data(), size);
        rest_ = rest_.subspan(size);
        return value;
    }

    Outcome<std::span<const std::byte>> read_bytes(std::size_t size);
    /// Up to and with the next NUL.
    Outcome<CString> read_text();
    Outcome<Name> read_name();
    /// The name of an extended attribute: ERANGE if too long, as the system call says.
    Outcome<CString> read_xattr_name();
    /// Cuts `size` bytes off the end.
    Outcome<std::span<const std::byte>> split_tail(std::size_t size);

private:
    std::span<const std::byte> rest_;
};

/// What follows a creating request: groups go to `groups` (and ctx refers to it), labels point into
/// `bytes`. Judged by what is there, not by what INIT agreed on: a daemon that took over a guest
/// by migration may not know the latter.
Outcome<void>
parse_extensions(std::span<const std::byte> bytes, std::vector<GuestGid>& groups, Context& ctx);

} // namespace vfskit::fuse

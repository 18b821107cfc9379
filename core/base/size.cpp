// SPDX-License-Identifier: Apache-2.0
#include "core/base/size.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::base {

Result<std::uint64_t> parse_size(std::string_view text, std::uint64_t unit) {
    constexpr std::string_view letters = "bkmgtpe";
    constexpr auto none = std::string_view::npos;
    const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    const auto suffix = text.substr(digits.size());
    const auto power = suffix.empty() ? none : letters.find(to_lower(suffix).front());
    const bool is_unit =
        power != none && (suffix.size() == 1 || (power > 0 && suffix.substr(1) == "iB"));
    if (digits.empty() || !(suffix.empty() || is_unit)) {
        return Error{EINVAL, fmt::format("'{}' is not a size", text)}.with_remedy(
            "Write it in bytes or with one of K, M, G, T (powers of 1024), for example 64M");
    }
    const auto factor = suffix.empty() ? unit : std::uint64_t{1} << (10 * power);
    const auto number = parse_unsigned(digits, "Size", UINT64_MAX / factor);
    if (!number) {
        return Error{ERANGE, fmt::format("'{}' is too large a size", text)};
    }
    return *number * factor;
}

} // namespace vfskit::base

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string_view>

namespace vfskit::base {

/// A number of bytes: digits counted in `unit`, or digits with one of b, k, m, g, t, p, e for a
/// power of 1024, in either case and with "iB" behind it or not ("4g", "512KiB"). EINVAL, ERANGE.
Result<std::uint64_t> parse_size(std::string_view text, std::uint64_t unit = 1);

} // namespace vfskit::base

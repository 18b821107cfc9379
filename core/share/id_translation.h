// SPDX-License-Identifier: Apache-2.0
// Whether virtiofsd takes the id translations, and disjoint ranges of ids.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace vfskit::share {

/// Every element by itself, and that no id is translated twice in one direction. The error's place
/// has `option` as its key.
Result<void> validate_id_translations(std::string_view option,
                                      std::span<const std::string> translations);

/// Ranges of ids that must not overlap.
class RangeSet {
public:
    /// `what` begins the error sentences: "Guest id".
    explicit RangeSet(std::string_view what) : what_{what} {}
    /// EINVAL when the range is empty, passes the last id, or shares an id with an earlier one.
    Result<void> add(std::uint32_t first, std::uint32_t count);

private:
    std::string what_;
    std::map<std::uint32_t, std::uint32_t> last_by_first_;
};

} // namespace vfskit::share

// SPDX-License-Identifier: Apache-2.0
// virtiofsd's --translate-uid/--translate-gid, and disjoint ranges of ids.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace vfskit::share {

/// What one --translate-uid or --translate-gid does to ids.
enum class TranslationKind {
    guest,        ///< guest ids become host ids, one by one
    host,         ///< host ids become guest ids, one by one
    squash_guest, ///< every guest id of the range becomes one host id
    squash_host,  ///< every host id of the range becomes one guest id
    forbid_guest, ///< the guest may not use the range
    map,          ///< guest and host together
};

/// One parsed translation. `from` is the range that is looked up; for `map`, `to` is looked up too.
/// `to` is meaningless for forbid_guest.
struct IdTranslation {
    TranslationKind kind = TranslationKind::map;
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    std::uint32_t count = 0;
    bool operator==(const IdTranslation&) const = default;
};

/// Reads "TYPE<sep>FROM<sep>TO<sep>COUNT", or "forbid-guest<sep>FROM<sep>COUNT"; <sep> is any one
/// character that cannot be part of TYPE. EINVAL names what is wrong and the expected form.
Result<IdTranslation> parse_id_translation(std::string_view text);

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

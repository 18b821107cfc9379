// SPDX-License-Identifier: Apache-2.0
// --translate-uid and --translate-gid.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string_view>

namespace vfskit::option_grammar {

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
/// character that cannot be part of TYPE, which is taken in any letter case. EINVAL names what is
/// wrong and the expected form. Whether the range exists is for the user to judge: virtiofsd and
/// the bundled daemon differ in it.
Result<IdTranslation> parse_id_translation(std::string_view text);

} // namespace vfskit::option_grammar

// SPDX-License-Identifier: Apache-2.0
// --translate-uid and --translate-gid: the guest's numbers and the host's are different types, and
// this is the only bridge.
#pragma once

#include "core/base/result.h"
#include "core/fuse/filesystem.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::passthrough {

using fuse::GuestGid;
using fuse::GuestUid;
enum class HostUid : std::uint32_t {};
enum class HostGid : std::uint32_t {};

/// One direction: source ranges that do not overlap, each with what becomes of it. Ids in no range
/// stay what they are.
class IdRanges {
public:
    enum class Effect { shift, squash, forbid };
    struct Range {
        std::uint32_t first = 0;
        std::uint32_t last = 0; ///< inclusive, so that 2^32-1 can be in it
        Effect effect = Effect::shift;
        std::uint32_t target = 0;
    };

    /// EINVAL when it intersects a range that is there.
    Result<void> add(const Range& range);
    /// nullopt: forbidden.
    [[nodiscard]] std::optional<std::uint32_t> translate(std::uint32_t id) const;

private:
    std::vector<Range> ranges_; // sorted by `first`
};

/// Both directions as numbers; IdMap puts the types on.
struct IdRules {
    IdRanges guest_to_host;
    IdRanges host_to_guest;

    /// Each rule as option_grammar::parse_id_translation() reads it. `option` names the option in
    /// errors ("--translate-uid"). EINVAL for anything else, for ranges beyond 2^32, and for source
    /// ranges that intersect.
    static Result<IdRules> parse(std::span<const std::string> rules, std::string_view option);
};

/// Immutable once made; any thread may use it.
template <class GuestId, class HostId>
class IdMap {
public:
    IdMap() = default;
    explicit IdMap(IdRules rules) : rules_{std::move(rules)} {}

    static Result<IdMap> parse(std::span<const std::string> rules, std::string_view option) {
        VFSKIT_TRY_ASSIGN(auto parsed, IdRules::parse(rules, option));
        return IdMap{std::move(parsed)};
    }

    /// nullopt: the guest may not use this id; the request fails with EPERM.
    [[nodiscard]] std::optional<HostId> to_host(GuestId id) const {
        const auto number = rules_.guest_to_host.translate(static_cast<std::uint32_t>(id));
        return number ? std::optional{HostId{*number}} : std::nullopt;
    }
    [[nodiscard]] GuestId to_guest(HostId id) const {
        // No rule forbids a host id, so there is always an answer.
        const auto number = static_cast<std::uint32_t>(id);
        return GuestId{rules_.host_to_guest.translate(number).value_or(number)};
    }

private:
    IdRules rules_;
};

using UidMap = IdMap<GuestUid, HostUid>;
using GidMap = IdMap<GuestGid, HostGid>;

} // namespace vfskit::passthrough

// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/id_map.h"

#include "core/option_grammar/id_translation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::passthrough {

Result<void> IdRanges::add(const Range& range) {
    const auto next = std::lower_bound(
        ranges_.begin(), ranges_.end(), range.first, [](const Range& known, std::uint32_t first) {
            return known.last < first;
        });
    if (next != ranges_.end() && next->first <= range.last) {
        return Error{EINVAL,
                     fmt::format("ids {} to {} intersect previously added entry {} to {}",
                                 range.first,
                                 range.last,
                                 next->first,
                                 next->last)};
    }
    ranges_.insert(next, range);
    return {};
}

std::optional<std::uint32_t> IdRanges::translate(std::uint32_t id) const {
    if (ranges_.empty()) {
        return id;
    }
    const auto range = std::lower_bound(
        ranges_.begin(), ranges_.end(), id, [](const Range& known, std::uint32_t value) {
            return known.last < value;
        });
    if (range == ranges_.end() || id < range->first) {
        return id;
    }
    switch (range->effect) {
    case Effect::shift:
        return range->target + (id - range->first);
    case Effect::squash:
        return range->target;
    case Effect::forbid:
        return std::nullopt;
    }
    return std::nullopt;
}

namespace {

constexpr std::uint64_t id_count = std::uint64_t{1} << 32;

/// `count` ids from `first` on, going to `target`. A count of 0 maps nothing, as upstream's does.
Result<void> add_range(IdRanges& ranges,
                       std::uint32_t first,
                       std::uint32_t target,
                       std::uint32_t count,
                       IdRanges::Effect effect) {
    if (count == 0) {
        return {};
    }
    const bool target_overflows =
        effect == IdRanges::Effect::shift && std::uint64_t{target} + count > id_count;
    if (std::uint64_t{first} + count > id_count || target_overflows) {
        return Error{EINVAL, "the range goes beyond the greatest id, 4294967295"};
    }
    return ranges.add({first, first + (count - 1), effect, target});
}

Result<void> add_rule(IdRules& rules, std::string_view text) {
    using enum option_grammar::TranslationKind;
    using Effect = IdRanges::Effect;
    VFSKIT_TRY_ASSIGN(const auto rule, option_grammar::parse_id_translation(text));
    auto& to_host = rules.guest_to_host;
    auto& to_guest = rules.host_to_guest;
    switch (rule.kind) {
    case guest:
        return add_range(to_host, rule.from, rule.to, rule.count, Effect::shift);
    case host:
        return add_range(to_guest, rule.from, rule.to, rule.count, Effect::shift);
    case squash_guest:
        return add_range(to_host, rule.from, rule.to, rule.count, Effect::squash);
    case squash_host:
        return add_range(to_guest, rule.from, rule.to, rule.count, Effect::squash);
    case forbid_guest:
        return add_range(to_host, rule.from, 0, rule.count, Effect::forbid);
    case map:
        VFSKIT_TRY(add_range(to_host, rule.from, rule.to, rule.count, Effect::shift));
        return add_range(to_guest, rule.to, rule.from, rule.count, Effect::shift);
    }
    return {};
}

} // namespace

Result<IdRules> IdRules::parse(std::span<const std::string> rules, std::string_view option) {
    IdRules parsed;
    for (const auto& rule : rules) {
        if (auto added = add_rule(parsed, rule); !added) {
            return std::move(added)
                .error()
                .under(fmt::format("{} '{}'", option, rule))
                .with_remedy("Write guest|host|map|squash-guest|squash-host:FROM:TO:COUNT or "
                             "forbid-guest:FROM:COUNT");
        }
    }
    return parsed;
}

} // namespace vfskit::passthrough

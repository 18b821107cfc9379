// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/id_map.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

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

bool is_word_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

struct Fields {
    std::string type;
    std::vector<std::uint32_t> numbers;
};

Result<Fields> read_fields(std::string_view rule) {
    const auto type_end = static_cast<std::size_t>(
        std::find_if_not(rule.begin(), rule.end(), is_word_char) - rule.begin());
    if (type_end == rule.size()) {
        return Error{EINVAL, "it has no separator after the type"};
    }
    Fields fields;
    fields.type = std::string{rule.substr(0, type_end)};
    std::transform(fields.type.begin(),
                   fields.type.end(),
                   fields.type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const auto part : base::split(rule.substr(type_end + 1), rule[type_end])) {
        VFSKIT_TRY_ASSIGN(const auto number, base::parse_unsigned(part, "an id", UINT32_MAX));
        fields.numbers.push_back(static_cast<std::uint32_t>(number));
    }
    return fields;
}

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

Result<void> add_rule(IdRules& rules, const Fields& fields) {
    using Effect = IdRanges::Effect;
    const auto& n = fields.numbers;
    const bool is_forbid = fields.type == "forbid-guest";
    constexpr std::array<std::string_view, 6> types{
        "guest", "host", "squash-guest", "squash-host", "forbid-guest", "map"};
    if (std::find(types.begin(), types.end(), fields.type) == types.end()) {
        return Error{EINVAL, fmt::format("unknown type '{}'", fields.type)};
    }
    if (n.size() != (is_forbid ? 2U : 3U)) {
        return Error{
            EINVAL,
            fmt::format(
                "'{}' takes {} numbers, it has {}", fields.type, is_forbid ? 2 : 3, n.size())};
    }
    if (is_forbid) {
        return add_range(rules.guest_to_host, n[0], 0, n[1], Effect::forbid);
    }
    if (fields.type == "guest") {
        return add_range(rules.guest_to_host, n[0], n[1], n[2], Effect::shift);
    }
    if (fields.type == "host") {
        return add_range(rules.host_to_guest, n[0], n[1], n[2], Effect::shift);
    }
    if (fields.type == "squash-guest") {
        return add_range(rules.guest_to_host, n[0], n[1], n[2], Effect::squash);
    }
    if (fields.type == "squash-host") {
        return add_range(rules.host_to_guest, n[0], n[1], n[2], Effect::squash);
    }
    VFSKIT_TRY(add_range(rules.guest_to_host, n[0], n[1], n[2], Effect::shift));
    return add_range(rules.host_to_guest, n[1], n[0], n[2], Effect::shift);
}

} // namespace

Result<IdRules> IdRules::parse(std::span<const std::string> rules, std::string_view option) {
    IdRules parsed;
    for (const auto& rule : rules) {
        auto fields = read_fields(rule);
        auto added = fields ? add_rule(parsed, *fields) : Result<void>{std::move(fields).error()};
        if (!added) {
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

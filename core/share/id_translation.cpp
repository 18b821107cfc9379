// SPDX-License-Identifier: Apache-2.0
#include "core/share/id_translation.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace vfskit::share {
namespace {

constexpr std::array<std::pair<std::string_view, TranslationKind>, 6> kinds{
    {{"guest", TranslationKind::guest},
     {"host", TranslationKind::host},
     {"squash-guest", TranslationKind::squash_guest},
     {"squash-host", TranslationKind::squash_host},
     {"forbid-guest", TranslationKind::forbid_guest},
     {"map", TranslationKind::map}}};

// The last id, 4294967295, is "no id" to the kernel, and virtiofsd wants first + count to fit in 32
// bits (measured on 1.13.2 and 1.14.0: "Range overflow"), so no range may reach it.
constexpr std::uint64_t max_range_end = UINT32_MAX;

bool is_kind_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

Error bad_translation(std::string_view text, std::string_view reason) {
    return Error{EINVAL, fmt::format("Id translation \"{}\": {}", text, reason)}.with_remedy(
        "Write TYPE:FROM:TO:COUNT with TYPE one of map, guest, host, squash-guest, squash-host, or "
        "forbid-guest:FROM:COUNT");
}

Result<TranslationKind> parse_kind(std::string_view text, std::string_view word) {
    std::string lower{word};
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    std::array<std::string_view, kinds.size()> words;
    std::transform(
        kinds.begin(), kinds.end(), words.begin(), [](const auto& kind) { return kind.first; });
    for (const auto& [name, kind] : kinds) {
        if (name == lower) {
            return kind;
        }
    }
    if (const auto near = base::nearest(lower, words)) {
        return Error{EINVAL,
                     fmt::format("Id translation \"{}\": type \"{}\" is not known", text, word)}
            .with_remedy(fmt::format("Did you mean \"{}\"?", *near));
    }
    return bad_translation(text, fmt::format("type \"{}\" is not known", word));
}

Result<std::vector<std::uint32_t>> parse_numbers(std::string_view text, std::string_view rest) {
    std::vector<std::uint32_t> numbers;
    if (rest.empty()) {
        return numbers;
    }
    for (const auto part : base::split(rest.substr(1), rest.front())) {
        const auto number = base::parse_unsigned(part, "Id", UINT32_MAX);
        if (!number) {
            return bad_translation(text, fmt::format("\"{}\" is not a 32-bit number", part));
        }
        numbers.push_back(static_cast<std::uint32_t>(*number));
    }
    return numbers;
}

struct Directions {
    RangeSet guest_ids{"Guest id"};
    RangeSet host_ids{"Host id"};
};

Result<void> check_target_range(std::uint32_t first, std::uint32_t count) {
    return RangeSet{"Resulting id"}.add(first, count);
}

Result<void> add_translation(Directions& seen, const IdTranslation& translation) {
    switch (translation.kind) {
    case TranslationKind::guest:
        VFSKIT_TRY(check_target_range(translation.to, translation.count));
        return seen.guest_ids.add(translation.from, translation.count);
    case TranslationKind::host:
        VFSKIT_TRY(check_target_range(translation.to, translation.count));
        return seen.host_ids.add(translation.from, translation.count);
    case TranslationKind::squash_guest:
    case TranslationKind::forbid_guest:
        return seen.guest_ids.add(translation.from, translation.count);
    case TranslationKind::squash_host:
        return seen.host_ids.add(translation.from, translation.count);
    case TranslationKind::map:
        VFSKIT_TRY(seen.guest_ids.add(translation.from, translation.count));
        return seen.host_ids.add(translation.to, translation.count);
    }
    return {};
}

} // namespace

Result<IdTranslation> parse_id_translation(std::string_view text) {
    const auto* const kind_end = std::find_if_not(text.begin(), text.end(), is_kind_character);
    const auto kind_size = static_cast<std::size_t>(kind_end - text.begin());
    VFSKIT_TRY_ASSIGN(const auto kind, parse_kind(text, text.substr(0, kind_size)));
    VFSKIT_TRY_ASSIGN(const auto numbers, parse_numbers(text, text.substr(kind_size)));
    const bool is_forbid = kind == TranslationKind::forbid_guest;
    const std::size_t wanted = is_forbid ? 2 : 3;
    if (numbers.size() != wanted) {
        return bad_translation(
            text, fmt::format("{} numbers are needed, not {}", wanted, numbers.size()));
    }
    if (is_forbid) {
        return IdTranslation{.kind = kind, .from = numbers[0], .to = 0, .count = numbers[1]};
    }
    return IdTranslation{.kind = kind, .from = numbers[0], .to = numbers[1], .count = numbers[2]};
}

Result<void> validate_id_translations(std::string_view option,
                                      std::span<const std::string> translations) {
    Directions seen;
    const Place place{.file = {}, .line = 0, .key = std::string{option}};
    for (const auto& text : translations) {
        auto translation = parse_id_translation(text);
        if (!translation) {
            return std::move(translation).error().at(place);
        }
        if (auto added = add_translation(seen, *translation); !added) {
            return std::move(added)
                .error()
                .under(fmt::format("Id translation \"{}\"", text))
                .at(place);
        }
    }
    return {};
}

Result<void> RangeSet::add(std::uint32_t first, std::uint32_t count) {
    if (count == 0) {
        return Error{EINVAL, fmt::format("{} range at {} is empty", what_, first)}.with_remedy(
            "Give a count of at least 1");
    }
    if (std::uint64_t{first} + count > max_range_end) {
        return Error{EINVAL,
                     fmt::format("{} range of {} at {} passes the last id, {}",
                                 what_,
                                 count,
                                 first,
                                 max_range_end - 1)}
            .with_remedy("Give a smaller count");
    }
    const std::uint32_t last = first + count - 1;
    // The range before `first` and the one after it are the only ones that can overlap.
    const auto next = last_by_first_.upper_bound(first);
    const bool overlaps_next = next != last_by_first_.end() && next->first <= last;
    const bool overlaps_previous =
        next != last_by_first_.begin() && std::prev(next)->second >= first;
    if (overlaps_next || overlaps_previous) {
        const auto& other = overlaps_previous ? *std::prev(next) : *next;
        return Error{EINVAL,
                     fmt::format("{}s {} to {} overlap the earlier range {} to {}",
                                 what_,
                                 first,
                                 last,
                                 other.first,
                                 other.second)}
            .with_remedy("Give each id to one range only");
    }
    last_by_first_.emplace(first, last);
    return {};
}

} // namespace vfskit::share

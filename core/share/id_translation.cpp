// SPDX-License-Identifier: Apache-2.0
#include "core/share/id_translation.h"

#include "core/option_grammar/id_translation.h"

#include <fmt/format.h>

#include <cerrno>
#include <iterator>
#include <utility>

namespace vfskit::share {
namespace {

// The last id, 4294967295, is "no id" to the kernel, and virtiofsd wants first + count to fit in 32
// bits (measured on 1.13.2 and 1.14.0: "Range overflow"), so no range may reach it.
constexpr std::uint64_t max_range_end = UINT32_MAX;

using option_grammar::IdTranslation;
using option_grammar::TranslationKind;

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

Result<void> validate_id_translations(std::string_view option,
                                      std::span<const std::string> translations) {
    Directions seen;
    const Place place{.file = {}, .line = 0, .key = std::string{option}};
    for (const auto& text : translations) {
        auto translation = option_grammar::parse_id_translation(text);
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

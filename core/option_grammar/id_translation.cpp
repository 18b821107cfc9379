// SPDX-License-Identifier: Apache-2.0
#include "core/option_grammar/id_translation.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

namespace vfskit::option_grammar {
namespace {

constexpr std::array<std::pair<std::string_view, TranslationKind>, 6> kinds{
    {{"guest", TranslationKind::guest},
     {"host", TranslationKind::host},
     {"squash-guest", TranslationKind::squash_guest},
     {"squash-host", TranslationKind::squash_host},
     {"forbid-guest", TranslationKind::forbid_guest},
     {"map", TranslationKind::map}}};

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
    const auto lower = base::to_lower(word);
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

} // namespace vfskit::option_grammar

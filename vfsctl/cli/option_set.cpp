// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cli/option_set.h"

#include "core/base/size.h"
#include "core/base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace vfskit::vfsctl {

OptionSet& OptionSet::add(OptionSpec spec, Take take) {
    entries_.push_back(
        std::make_unique<OptionEntry>(OptionEntry{std::move(spec), std::move(take)}));
    return *this;
}

OptionSet& OptionSet::single(OptionSpec spec, std::function<Result<void>(std::string_view)> take) {
    return add(
        std::move(spec),
        [take = std::move(take)](const std::vector<std::string>& words) -> Result<void> {
            if (words.size() != 1) {
                return Error{EINVAL, "Given more than once"}.with_remedy("Give it one value");
            }
            return take(words.front());
        });
}

OptionSet& OptionSet::flag(OptionSpec spec, bool& target) {
    return add(std::move(spec), [&target](const auto&) -> Result<void> {
        target = true;
        return {};
    });
}

OptionSet& OptionSet::text(OptionSpec spec, std::string& target) {
    return single(std::move(spec), [&target](std::string_view word) -> Result<void> {
        target = word;
        return {};
    });
}

OptionSet& OptionSet::text(OptionSpec spec, std::optional<std::string>& target) {
    return single(std::move(spec), [&target](std::string_view word) -> Result<void> {
        target = std::string{word};
        return {};
    });
}

OptionSet& OptionSet::list(OptionSpec spec, std::vector<std::string>& target) {
    spec.is_repeatable = true;
    return add(std::move(spec), [&target](const auto& words) -> Result<void> {
        target = words;
        return {};
    });
}

OptionSet&
OptionSet::number(OptionSpec spec, std::optional<std::uint32_t>& target, std::uint32_t max) {
    return value(std::move(spec), target, [max](std::string_view word) -> Result<std::uint32_t> {
        VFSKIT_TRY_ASSIGN(const auto number, base::parse_unsigned(word, "the value", max));
        return static_cast<std::uint32_t>(number);
    });
}

OptionSet&
OptionSet::number(OptionSpec spec, std::optional<std::uint64_t>& target, std::uint64_t max) {
    return value(std::move(spec), target, [max](std::string_view word) {
        return base::parse_unsigned(word, "the value", max);
    });
}

OptionSet& OptionSet::size(OptionSpec spec, std::optional<std::uint64_t>& target) {
    return value(
        std::move(spec), target, [](std::string_view word) { return base::parse_size(word); });
}

const OptionEntry* OptionSet::find(std::string_view name) const {
    const auto found = std::ranges::find_if(entries_, [name](const auto& entry) {
        return entry->spec.name == name || entry->spec.short_name == name;
    });
    return found == entries_.end() ? nullptr : found->get();
}

Result<void> OptionSet::take_all() {
    for (const auto& entry : entries_) {
        if (!entry->was_given) {
            continue;
        }
        if (auto taken = entry->take(entry->given); !taken) {
            return std::move(taken).error().under(entry->spec.name);
        }
    }
    return {};
}

Result<std::string> parse_word(std::string_view word, const std::vector<std::string>& words) {
    if (std::ranges::find(words, word) != words.end()) {
        return std::string{word};
    }
    const std::vector<std::string_view> views{words.begin(), words.end()};
    const auto near = base::nearest(word, views);
    return Error{EINVAL, fmt::format("'{}' is none of {}", word, fmt::join(words, ", "))}
        .with_remedy(near ? fmt::format("Did you mean '{}'?", *near)
                          : std::string{"Choose one of these"});
}

} // namespace vfskit::vfsctl

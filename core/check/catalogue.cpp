// SPDX-License-Identifier: Apache-2.0
#include "core/check/catalogue.h"

#include "core/base/text.h"
#include "core/check/catalogue_entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace vfskit::check {
namespace {

constexpr std::string_view code_prefix = "vfs-c";

static_assert(std::ranges::is_sorted(catalogue_entries, {}, &CatalogueEntry::code));

} // namespace

std::string_view to_string(Severity severity) {
    switch (severity) {
    case Severity::note:
        return "note";
    case Severity::warning:
        return "warning";
    case Severity::blocker:
        return "blocker";
    }
    return "";
}

std::span<const CatalogueEntry> catalogue() {
    return catalogue_entries;
}

const CatalogueEntry& describe(Code code) {
    const auto* const found =
        std::ranges::lower_bound(catalogue_entries, code, {}, &CatalogueEntry::code);
    assert(found != catalogue_entries.end() && found->code == code);
    return *found;
}

std::string to_string(Code code) {
    return fmt::format("VFS-C{:03}", static_cast<unsigned>(code));
}

Result<const CatalogueEntry*> find_entry(std::string_view text) {
    auto word = base::to_lower(text);
    if (word.starts_with('c')) {
        word.insert(0, "vfs-");
    }
    const auto number = word.starts_with(code_prefix)
                            ? base::parse_unsigned(word.substr(code_prefix.size()), "code", 999)
                            : Result<std::uint64_t>{Error{EINVAL, "No code"}};
    if (number) {
        const auto* const found =
            std::ranges::find(catalogue_entries, static_cast<Code>(*number), &CatalogueEntry::code);
        if (found != catalogue_entries.end()) {
            return found;
        }
    }
    return Error{ENOENT, fmt::format("There is no finding '{}'", text)}.with_remedy(
        "Codes look like VFS-C020; 'vfsctl check --explain all' prints every one");
}

} // namespace vfskit::check

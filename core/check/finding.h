// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/check/catalogue.h"

#include <optional>
#include <string>
#include <vector>

namespace vfskit::check {

/// One thing that was found. Texts are sentences as in an Error: capital letter, no full stop.
struct Finding {
    Code code{};
    std::string subject; ///< "share 'media'", "VM '100'", "node 'n2'"
    std::string sentence;
    std::string remedy; ///< imperative; the catalogue's unless there is a better one

    bool operator==(const Finding&) const = default;
    [[nodiscard]] Severity severity() const { return describe(code).severity; }
    [[nodiscard]] std::string code_text() const { return to_string(code); }
};

/// The worst severity; nothing when there is no finding.
std::optional<Severity> worst(const std::vector<Finding>& findings);

/// Blockers first, then by code and subject.
void sort(std::vector<Finding>& findings);

} // namespace vfskit::check

// SPDX-License-Identifier: Apache-2.0
#include "core/check/finding.h"

#include <algorithm>
#include <tuple>

namespace vfskit::check {

std::optional<Severity> worst(const std::vector<Finding>& findings) {
    std::optional<Severity> result;
    for (const auto& finding : findings) {
        result = result ? std::max(*result, finding.severity()) : finding.severity();
    }
    return result;
}

void sort(std::vector<Finding>& findings) {
    if (findings.size() < 2) {
        return;
    }
    std::ranges::stable_sort(findings, [](const Finding& a, const Finding& b) {
        const auto rank = [](const Finding& finding) {
            return std::make_tuple(-static_cast<int>(finding.severity()), finding.code);
        };
        const auto a_rank = rank(a);
        const auto b_rank = rank(b);
        return std::tie(a_rank, a.subject) < std::tie(b_rank, b.subject);
    });
}

} // namespace vfskit::check

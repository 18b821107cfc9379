// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/output/output.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// The shortest way from one list of lines to the other: "  kept", "- gone" (red), "+ new" (green),
/// each with a line feed. Lines pass through printable(). Time and space are the product of the two
/// counts: for texts of at most some thousand lines.
std::string render_line_diff(const std::vector<std::string>& before,
                             const std::vector<std::string>& after,
                             const Output& output);

/// The same with at most `context` kept lines around each difference and "@@ line N @@" where some
/// were left out.
std::string render_short_diff(std::string_view before,
                              std::string_view after,
                              const Output& output,
                              std::size_t context = 3);

} // namespace vfskit::vfsctl

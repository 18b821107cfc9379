// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace vfskit::domain {

/// Something that is no failure but that the administrator should know: what it means for him, and
/// what to do about it (may be empty). Sentences as in an Error: capital letter, no full stop.
struct Notice {
    std::string message;
    std::string remedy;

    bool operator==(const Notice&) const = default;
};

} // namespace vfskit::domain

// SPDX-License-Identifier: Apache-2.0
// Golden files: what we print, as a person has read and approved it, under tests/golden/.
#pragma once

#include <string>

namespace vfskit::test {

/// Fails the running test unless tests/golden/NAME is exactly `text`. With VFSKIT_UPDATE_GOLDEN in
/// the environment it writes the file first: read the diff before committing it.
void compare_with_golden(const std::string& name, const std::string& text);

} // namespace vfskit::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace vfskit::test {

/// A file of the checkout that this test was built from, by its path there.
std::string source_path(const std::string& relative);

/// A file of the build tree that this test was built in, by its path there.
std::string build_path(const std::string& relative);

} // namespace vfskit::test

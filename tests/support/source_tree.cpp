// SPDX-License-Identifier: Apache-2.0
// The one file that holds the paths: every other test compiles alike in every checkout, so a
// compiler cache serves them all.
#include "tests/support/source_tree.h"

namespace vfskit::test {

std::string source_path(const std::string& relative) {
    return VFSKIT_SOURCE_DIR "/" + relative;
}

std::string build_path(const std::string& relative) {
    return VFSKIT_BINARY_DIR "/" + relative;
}

} // namespace vfskit::test

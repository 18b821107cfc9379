// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden.h"

#include "core/base/file.h"
#include "tests/support/source_tree.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>

namespace vfskit::test {

void compare_with_golden(const std::string& name, const std::string& text) {
    const auto path = source_path("tests/golden/" + name);
    if (std::getenv("VFSKIT_UPDATE_GOLDEN") != nullptr) {
        const auto replaced = base::replace_file(path, text);
        ASSERT_TRUE(replaced) << replaced.error().describe();
    }
    constexpr std::size_t max_golden = 65536;
    const auto golden = base::read_file(path, max_golden);
    ASSERT_TRUE(golden) << golden.error().describe();
    EXPECT_EQ(*golden, text) << path;
}

} // namespace vfskit::test

// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace vfskit {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, ClosesWhenDestroyed) {
    int raw = -1;
    {
        const UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        raw = fd.get();
        ASSERT_TRUE(is_open(raw));
    }
    EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, MovesTheOwnership) {
    UniqueFd first{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int raw = first.get();
    const UniqueFd second{std::move(first)};
    EXPECT_FALSE(first.is_valid()); // NOLINT(bugprone-use-after-move): the empty state is promised
    EXPECT_EQ(second.get(), raw);
}

TEST(UniqueFd, ReleaseLeavesItOpen) {
    UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const UniqueFd keeper{fd.release()};
    EXPECT_TRUE(is_open(keeper.get()));
}

} // namespace
} // namespace vfskit

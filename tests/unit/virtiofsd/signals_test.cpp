// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/signals.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace vfskit::virtiofsd {
namespace {

TEST(Signals, AFileBeyondTheSizeLimitIsAnErrorAndNotADeath) {
    block_signals();
    constexpr rlimit limit{.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(::ftruncate(::fileno(file), 8192), -1);
    EXPECT_EQ(errno, EFBIG);
    std::fclose(file);
}

TEST(Signals, AWriteToNobodyIsAnErrorAndNotADeath) {
    block_signals();
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    EXPECT_EQ(::write(ends[1], "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    ::close(ends[1]);
}

} // namespace
} // namespace vfskit::virtiofsd

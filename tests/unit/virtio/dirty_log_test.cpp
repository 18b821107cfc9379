// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"
#include "core/virtio/dirty_log.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace vfskit::virtio {
namespace {

constexpr std::uint64_t offset_in_file = 4096 + 8;

class DirtyLogTest : public testing::Test {
protected:
    void SetUp() override {
        fd_.reset(::memfd_create("log", MFD_CLOEXEC));
        ASSERT_EQ(::ftruncate(fd_.get(), 16384), 0);
        auto log = DirtyLog::map(fd_.get(), 16, offset_in_file);
        ASSERT_TRUE(log) << log.error().describe();
        log_ = *log;
    }

    [[nodiscard]] std::vector<int> bytes() const {
        std::vector<std::uint8_t> raw(16);
        EXPECT_EQ(::pread(fd_.get(), raw.data(), raw.size(), offset_in_file), 16);
        return {raw.begin(), raw.end()};
    }

    UniqueFd fd_;
    std::shared_ptr<DirtyLog> log_;
};

TEST_F(DirtyLogTest, MarksThePageOfOneByte) {
    log_->mark(GuestAddress{9 * 4096 + 17}, 1);
    EXPECT_EQ(bytes(), (std::vector<int>{0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(DirtyLogTest, MarksBothPagesOfARangeThatCrosses) {
    log_->mark(GuestAddress{8 * 4096 - 1}, 2);
    EXPECT_EQ(bytes(), (std::vector<int>{128, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(DirtyLogTest, MarksNoPageBeyondTheLastByte) {
    log_->mark(GuestAddress{0}, 4096);
    EXPECT_EQ(bytes().front(), 1);
}

TEST_F(DirtyLogTest, MarksNothingForNothing) {
    log_->mark(GuestAddress{4096}, 0);
    EXPECT_EQ(bytes(), std::vector<int>(16, 0));
}

TEST_F(DirtyLogTest, LeavesOutPagesPastItsEnd) {
    log_->mark(GuestAddress{127 * 4096}, 100 * 4096);
    log_->mark(GuestAddress{~0ULL}, 4096);
    EXPECT_EQ(bytes(), (std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128}));
}

TEST_F(DirtyLogTest, RefusesASizeBeyondItsFile) {
    EXPECT_EQ(DirtyLog::map(fd_.get(), 16384, 1).error().code(), EINVAL);
    EXPECT_EQ(DirtyLog::map(fd_.get(), 0, 0).error().code(), EINVAL);
    EXPECT_EQ(DirtyLog::map(fd_.get(), ~0ULL, ~0ULL).error().code(), EINVAL);
}

} // namespace
} // namespace vfskit::virtio

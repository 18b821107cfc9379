// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"
#include "core/passthrough/data_calls.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <string>

namespace vfskit::passthrough {
namespace {

// Beyond 32 bits, so that an offset cut short is seen.
static_assert(sizeof(off_t) == 8);
constexpr off_t far = (off_t{5} << 32U) + 7;

class DataCalls : public testing::Test {
protected:
    UniqueFd fd{::memfd_create("data-calls", MFD_CLOEXEC)};
};

TEST_F(DataCalls, MoveBytesAtAnOffset) {
    const std::string text = "what a guest writes";
    ASSERT_EQ(write_at(fd.get(), text.data(), text.size(), far), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_END), far + static_cast<off_t>(text.size()));

    std::string got(text.size(), '\0');
    EXPECT_EQ(::pread(fd.get(), got.data(), got.size(), far), static_cast<ssize_t>(got.size()));
    EXPECT_EQ(got, text);

    got.assign(100, '\0');
    const ssize_t size = read_at(fd.get(), got.data(), got.size(), far + 7);
    ASSERT_EQ(size, static_cast<ssize_t>(text.size() - 7));
    EXPECT_EQ(got.substr(0, static_cast<std::size_t>(size)), text.substr(7));
    EXPECT_EQ(read_at(fd.get(), got.data(), got.size(), 2 * far), 0);
}

TEST_F(DataCalls, SetErrno) {
    std::array<std::byte, 8> bytes{};
    errno = 0;
    EXPECT_EQ(read_at(-1, bytes.data(), bytes.size(), 0), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(write_at(fd.get(), bytes.data(), bytes.size(), -1), -1);
    EXPECT_EQ(errno, EINVAL);
    constexpr std::size_t page = 4096;
    void* unreadable = ::mmap(nullptr, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(unreadable, MAP_FAILED);
    EXPECT_EQ(write_at(fd.get(), unreadable, page, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    ::munmap(unreadable, page);
}

} // namespace
} // namespace vfskit::passthrough

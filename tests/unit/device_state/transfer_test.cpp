// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"
#include "core/device_state/transfer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

namespace vfskit::device_state {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> fds{};
        EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
        reader.reset(fds[0]);
        writer.reset(fds[1]);
    }
    UniqueFd reader;
    UniqueFd writer;
};

std::vector<std::byte> make_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i * 31);
    }
    return bytes;
}

constexpr std::size_t more_than_a_pipe_holds = 3'000'000;

TEST(Transfer, BringsMoreThanAPipeHolds) {
    Pipe pipe;
    const UniqueFd cancel{::eventfd(0, EFD_CLOEXEC)};
    const auto bytes = make_bytes(more_than_a_pipe_holds);
    std::thread writer{[&] {
        EXPECT_TRUE(write_all(pipe.writer.get(), cancel.get(), bytes));
        pipe.writer.reset();
    }};
    const auto got = read_to_end(pipe.reader.get(), cancel.get(), more_than_a_pipe_holds);
    writer.join();
    ASSERT_TRUE(got) << got.error().describe();
    EXPECT_EQ(*got, bytes);
}

TEST(Transfer, RefusesMoreThanTheLimit) {
    Pipe pipe;
    const UniqueFd cancel{::eventfd(0, EFD_CLOEXEC)};
    ASSERT_TRUE(write_all(pipe.writer.get(), cancel.get(), make_bytes(1000)));
    pipe.writer.reset();
    EXPECT_EQ(read_to_end(pipe.reader.get(), cancel.get(), 999).error().code(), EFBIG);
}

TEST(Transfer, EndsWhenItIsGivenUpWhileThePipeIsFull) {
    const Pipe pipe;
    const UniqueFd cancel{::eventfd(0, EFD_CLOEXEC)};
    std::thread canceller{[&] { ::eventfd_write(cancel.get(), 1); }};
    const auto outcome =
        write_all(pipe.writer.get(), cancel.get(), make_bytes(more_than_a_pipe_holds));
    canceller.join();
    EXPECT_EQ(outcome.error().code(), ECANCELED);
}

TEST(Transfer, EndsWhenItIsGivenUpWhileThePipeIsEmpty) {
    const Pipe pipe;
    const UniqueFd cancel{::eventfd(1, EFD_CLOEXEC)};
    EXPECT_EQ(read_to_end(pipe.reader.get(), cancel.get(), 10).error().code(), ECANCELED);
}

TEST(Transfer, TellsThatTheReaderHasGone) {
    std::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    pipe.reader.reset();
    const UniqueFd cancel{::eventfd(0, EFD_CLOEXEC)};
    EXPECT_EQ(write_all(pipe.writer.get(), cancel.get(), make_bytes(10)).error().code(), EPIPE);
}

} // namespace
} // namespace vfskit::device_state

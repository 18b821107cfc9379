// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::base {
namespace {

using namespace std::chrono_literals;

TEST(RunAndCapture, GivesBothStreamsAndTheStatus) {
    const auto output = run_and_capture({"sh", {"-c", "echo out; echo err >&2; exit 3"}}, 10s);
    ASSERT_TRUE(output);
    EXPECT_EQ(output->out, "out\n");
    EXPECT_EQ(output->err, "err\n");
    EXPECT_EQ(output->exit_status, 3);
}

TEST(RunAndCapture, ReportsAMissingProgram) {
    EXPECT_EQ(run_and_capture({"/no/such/program", {}}, 10s).error().code(), ENOENT);
}

TEST(RunAndCapture, KillsWhatTakesTooLong) {
    EXPECT_EQ(run_and_capture({"sleep", {"60"}}, 50ms).error().code(), ETIMEDOUT);
}

TEST(RunAndCapture, BoundsTheOutput) {
    EXPECT_EQ(run_and_capture({"sh", {"-c", "yes | head -c 100000"}}, 10s, 1000).error().code(),
              EMSGSIZE);
}

TEST(RunAndCapture, ReportsADeathBySignalAsAShellDoes) {
    EXPECT_EQ(run_and_capture({"sh", {"-c", "kill -TERM $$"}}, 10s)->exit_status, 143);
}

TEST(ProcessSpec, PrintsAQuotedShellLine) {
    EXPECT_EQ((ProcessSpec{"/usr/libexec/virtiofsd", {"--shared-dir=/srv/my files"}}.shell_line()),
              "/usr/libexec/virtiofsd '--shared-dir=/srv/my files'");
}

} // namespace
} // namespace vfskit::base

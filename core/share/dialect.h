// SPDX-License-Identifier: Apache-2.0
// Which virtiofsd it is: the dialects of its command line, what version knows what, and asking a
// binary.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::share {

/// The families of virtiofsd's command line. Spelled c, rust-1.0, rust-1.11, rust-1.14, bundled.
enum class Dialect {
    c_daemon,  ///< QEMU's own, up to QEMU 7.2: most options behind -o, cannot migrate
    rust_1_0,  ///< before 1.11: cannot migrate
    rust_1_11, ///< 1.11 to 1.13: migrates; posix-acl and security-label are only on or off
    rust_1_14, ///< 1.14 and later
    bundled,   ///< ours: 1.14's options, several request queues, fd passing
};

struct Version {
    int major = 0;
    int minor = 0;
    int patch = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes a defaulted <=> for one with a 0.
    auto operator<=>(const Version&) const = default;
};
std::string to_string(const Version& version); ///< 1.13.2
/// Reads as far as digits and dots go: "1.13", "10.0.2", "7.2.22 (Debian ...)". EINVAL for what
/// does not begin with two or three numbers.
Result<Version> parse_version(std::string_view text);

/// One daemon as far as its command line is concerned. A plain value.
struct DaemonInfo {
    Dialect dialect = Dialect::rust_1_14;
    /// Of virtiofsd; for c_daemon of QEMU; for bundled that of the virtiofsd it stands in for.
    Version version{.major = 1, .minor = 14, .patch = 0};
    /// What --print-capabilities lists; empty when nobody asked a binary.
    std::vector<std::string> features = {};
    bool is_probed = false;

    bool operator==(const DaemonInfo&) const = default;
    [[nodiscard]] bool has_feature(std::string_view feature) const;
};

/// Features that only the bundled daemon prints.
inline constexpr std::string_view feature_fd_passing = "vfskit-fd-passing";
inline constexpr std::string_view feature_control_socket = "vfskit-control-socket";

std::string_view to_string(Dialect dialect);
/// "virtiofsd 1.13.2", "C virtiofsd of QEMU 7.2.22", "bundled virtiofsd 1.14.0": for sentences.
std::string describe(const DaemonInfo& daemon);

/// What the user calls a daemon: a dialect's word, which stands for the newest version it covers,
/// or a version ("1.12", "1.13.2", "rust-1.10"). EINVAL with the known words and "did you mean".
Result<DaemonInfo> parse_daemon(std::string_view word);

/// Runs a command to its end; base::run_and_capture with a time limit, or a test's canned answer.
using ProcessRunner = std::function<Result<base::ProcessOutput>(const ProcessSpec&)>;
/// The real one: gives up after 5 seconds. Blocks the calling thread.
Result<base::ProcessOutput> run_daemon_query(const ProcessSpec& spec);

/// Asks `program` for --version and --print-capabilities, and recognises it. ENOENT, EACCES when it
/// cannot run; EPROTONOSUPPORT when its answer is no known virtiofsd's, with what it said.
Result<DaemonInfo> probe(const std::string& program, const ProcessRunner& run = run_daemon_query);

} // namespace vfskit::share

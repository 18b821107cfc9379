// SPDX-License-Identifier: Apache-2.0
// virtiofsd: shares one directory with one guest, as a vhost-user-fs back-end.
#include "virtiofsd/daemon.h"
#include "virtiofsd/logging.h"
#include "virtiofsd/options.h"
#include "virtiofsd/rlimits.h"
#include "virtiofsd/signals.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

namespace vfskit::virtiofsd {
namespace {

Result<int> run(const Options& options, DaemonLog& daemon_log, LogSink& log) {
    for (const auto& warning : options.warnings) {
        log.write(LogLevel::warn, warning);
    }
    VFSKIT_TRY(check_combinations(options, ::geteuid() == 0));
    VFSKIT_TRY(check_shared_dir(options.shared_dir));
    VFSKIT_TRY_ASSIGN(auto entrance, open_entrance(options));
    VFSKIT_TRY_ASSIGN(const auto limit, apply_file_limit(options.rlimit_nofile, log));
    const std::uint64_t threads =
        std::thread::hardware_concurrency() + options.thread_pool_size + 4;
    VFSKIT_TRY_ASSIGN(const auto quota, guest_descriptor_quota(limit, threads));
    warn_of_few_descriptors(quota, log);
    VFSKIT_TRY_ASSIGN(auto root, close_the_walls(options, entrance, log));
    reserve_descriptor_table(limit);
    return serve(options, std::move(entrance), std::move(root), quota, daemon_log, log);
}

/// Upstream requires a socket on its command line; here systemd may pass one instead.
bool is_socket_missing(const Options& options) {
    return !options.socket_path && !options.fd && std::getenv("LISTEN_FDS") == nullptr;
}

int run_and_report(const Options& options) {
    auto opened = open_log(options);
    if (!opened) {
        std::fprintf(stderr, "virtiofsd: %s\n", opened.error().describe().c_str());
        return 1;
    }
    RateLimitedSink log{**opened, {}};
    const auto status = run(options, **opened, log);
    if (!status) {
        log.write(LogLevel::error, status.error().describe());
        return 1;
    }
    return *status;
}

} // namespace
} // namespace vfskit::virtiofsd

int main(int argc, char** argv) {
    using namespace vfskit::virtiofsd;
    block_signals();
    const std::vector<std::string> args{argv + 1, argv + argc};
    const char* rust_log = std::getenv("RUST_LOG");
    const auto invocation = parse_options(args, rust_log == nullptr ? "" : rust_log);
    switch (invocation.action) {
    case Invocation::Action::print_text:
        std::fputs(invocation.text.c_str(), stdout);
        return invocation.exit_status;
    case Invocation::Action::fail:
        std::fputs(invocation.text.c_str(), stderr);
        return invocation.exit_status;
    case Invocation::Action::run:
        break;
    }
    if (is_socket_missing(invocation.options)) {
        std::fputs("error: No socket to serve on; give --socket-path or --fd\n", stderr);
        return 2;
    }
    try {
        return run_and_report(invocation.options);
    } catch (const std::exception& error) {
        // Only what no caller can handle gets here, such as no memory left.
        std::fprintf(stderr, "virtiofsd: %s\n", error.what());
        return 1;
    }
}

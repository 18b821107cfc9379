// SPDX-License-Identifier: Apache-2.0
// vfskit-qemu-hook: libvirt runs it as /etc/libvirt/hooks/qemu.d/vfskit for every step of every
// domain. It must not call libvirt, whose locks are held meanwhile.
#include "core/base/host.h"
#include "core/domain/domain_xml.h"
#include "libvirt-hook/hook.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace {

using namespace vfskit;
using namespace vfskit::libvirt_hook;

// A hook that never ends makes the migration wait for ever. Starting a daemon takes some seconds at
// most; prepare may start several.
constexpr unsigned longest_life = 120;

bool is_harmless_to_fail = false;

void give_up(int /*signal*/) {
    constexpr std::string_view line =
        "vfskit: the hook did not finish in time; see whether the mapping store answers\n";
    static_cast<void>(::write(STDERR_FILENO, line.data(), line.size()) < 0);
    ::_exit(is_harmless_to_fail ? 0 : 1);
}

std::string read_standard_input() {
    std::string text;
    std::vector<char> buffer(65536);
    ssize_t got = 0;
    while ((got = ::read(STDIN_FILENO, buffer.data(), buffer.size())) > 0 ||
           (got < 0 && errno == EINTR)) {
        if (got > 0 && text.size() <= domain::max_domain_bytes) {
            text.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }
    return text;
}

bool write_standard_output(std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
        if (put < 0 && errno != EINTR) {
            return false;
        }
        text.remove_prefix(put > 0 ? static_cast<std::size_t>(put) : 0);
    }
    return true;
}

Result<store::Snapshot> read_store(const Config& config) {
    const auto url = store::choose_store_url(config.store, "", store::is_pmxcfs("/etc/pve"));
    VFSKIT_TRY_ASSIGN(const auto opened, store::open_store(url));
    return opened->snapshot();
}

World this_host(const Config& config) {
    return {
        .config = config,
        .node = config.node.empty() ? base::host_node_name() : config.node,
        .read_store = [config] { return read_store(config); },
        .collect = [](const node::TargetRequest& request) { return node::collect_target(request); },
        .is_executable = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; },
        .exists =
            [](const std::string& path) {
                struct stat info {};
                return ::lstat(path.c_str(), &info) == 0;
            },
        .run =
            [config](const ProcessSpec& spec) {
                // vfsctl finds the state directory in its environment.
                ::setenv("VFSKIT_RUN_DIR", config.run_dir.c_str(), 1);
                return base::run_and_capture(spec, std::chrono::seconds{60});
            }};
}

int run(const HookCall& call) {
    const auto config = read_config(std::string{config_path});
    if (!config) {
        std::fprintf(stderr, "vfskit: %s\n", config.error().describe().c_str());
        return is_harmless_to_fail ? 0 : 1;
    }
    const auto outcome = run_hook(call, read_standard_input(), this_host(*config));
    if (!outcome.complaint.empty()) {
        std::fprintf(stderr, "%s\n", outcome.complaint.c_str());
    }
    if (!write_standard_output(outcome.out)) {
        std::fputs("vfskit: libvirt does not take the domain's XML\n", stderr);
        return 1;
    }
    return outcome.exit_status;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words{argv + 1, argv + argc};
    const auto call = parse_call(words);
    if (call.operation == HookOperation::other) {
        return 0;
    }
    is_harmless_to_fail =
        call.operation == HookOperation::reconnect || call.operation == HookOperation::release;
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGALRM, give_up);
    ::alarm(longest_life);
    try {
        return run(call);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "vfskit: %s\n", failure.what());
        return is_harmless_to_fail ? 0 : 1;
    }
}

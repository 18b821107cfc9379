// SPDX-License-Identifier: Apache-2.0
// Started by Proxmox VE as /usr/libexec/virtiofsd. Whatever happens here, a daemon is executed: a
// VM must start without this program's help as it does with it.
#include "core/base/host.h"
#include "pve-plugin/launcher/decision.h"

#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace {

using namespace vfskit;
using namespace vfskit::pve_plugin;

// Proxmox VE shows the standard error of a start in the task's log; the daemon itself goes to
// syslog.
void tell(int priority, const std::string& line) {
    ::openlog("vfskit-launcher", LOG_PID, LOG_USER);
    ::syslog(priority, "%s", line.c_str());
    ::closelog();
    std::fprintf(stderr, "vfskit: %s\n", line.c_str());
}

Settings settings_of_this_node() {
    const char* const named = std::getenv("VFSKIT_PVE_CONFIG");
    auto settings = read_settings(named != nullptr ? named : std::string{settings_file});
    if (!settings) {
        tell(LOG_WARNING, settings.error().describe() + " The defaults are used.");
        return {};
    }
    return *settings;
}

/// Returns only when the program cannot be executed.
void become(const std::string& program, const std::string& name, std::vector<std::string> args) {
    std::vector<char*> argv;
    argv.reserve(args.size() + 2);
    std::string first = name;
    argv.push_back(first.data());
    for (auto& arg : args) {
        argv.push_back(arg.data());
    }
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    tell(LOG_ERR, "Cannot execute \"" + program + "\": " + std::strerror(errno));
}

Decision decide_safely(const std::vector<std::string>& args, const Settings& settings) {
    try {
        return decide(
            args, settings, {.node = base::host_node_name(), .run = share::run_daemon_query});
    } catch (const std::exception& failure) {
        tell(LOG_ERR, std::string{"Out of its depth: "} + failure.what());
        return {.program = settings.bundled_daemon,
                .args = args,
                .fallback = settings.system_daemon,
                .is_compat = false,
                .notice = {}};
    }
}

} // namespace

int main(int argc, char** argv) {
    constexpr int cannot_execute = 126;
    std::vector<std::string> args{argv + (argc > 0 ? 1 : 0), argv + argc};
    auto settings = settings_of_this_node();
    if (!args.empty() && args.front() == "--compat") {
        args.erase(args.begin());
        settings.compat = true;
    }
    const auto decision = decide_safely(args, settings);
    if (!decision.notice.empty()) {
        tell(LOG_WARNING, decision.notice);
    }
    // With --compat the process is called what the caller wrote; else what it is.
    become(decision.program,
           decision.is_compat && argc > 0 ? argv[0] : decision.program,
           decision.args);
    become(decision.fallback, decision.fallback, args);
    return cannot_execute;
}

// SPDX-License-Identifier: Apache-2.0
#include "core/base/host.h"
#include "core/node/facts_source.h"
#include "vfsctl/libvirt/load.h"
#include "vfsctl/program.h"
#include "vfsctl/verbs.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace vfskit;

std::size_t terminal_columns() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string environment_variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? "" : value;
}

bool is_directory(const std::string& path) {
    std::error_code unreadable;
    return std::filesystem::is_directory(path, unreadable);
}

bool is_executable(const std::string& path) {
    return ::access(path.c_str(), X_OK) == 0;
}

std::atomic<bool> interrupted = false;

const std::atomic<bool>& catch_interrupt() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    return interrupted;
}

node::NodeFacts collect_facts(const node::CollectRequest& request) {
    node::Places places;
    if (auto directory = environment_variable("VFSKIT_RUN_DIR"); !directory.empty()) {
        places.run_dir = std::move(directory);
    }
    return node::collect(request, places);
}

Result<std::unique_ptr<store::FactsStore>> open_facts(std::string_view store_url) {
    const auto directory = environment_variable("VFSKIT_FACTS_DIR");
    return directory.empty() ? store::open_facts_store(store_url)
                             : store::open_facts_store(store_url, directory);
}

vfsctl::Environment this_process() {
    return {.out = std::cout,
            .err = std::cerr,
            .in = std::cin,
            .out_is_terminal = ::isatty(STDOUT_FILENO) == 1,
            .err_is_terminal = ::isatty(STDERR_FILENO) == 1,
            .columns = terminal_columns(),
            .node_name = base::host_node_name(),
            .pmxcfs_is_mounted = store::is_pmxcfs("/etc/pve"),
            .variable = environment_variable,
            .open_store = store::open_store,
            .run_process = share::run_daemon_query,
            .collect_facts = collect_facts,
            .open_facts = open_facts,
            .run_ssh = node::run_ssh,
            .connect_libvirt = vfsctl::connect_libvirt,
            .is_directory = is_directory,
            .is_executable = is_executable,
            .pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); },
            .catch_interrupt = catch_interrupt,
            .connect_systemd = []() -> Result<std::unique_ptr<launch::ServiceManager>> {
                if (!launch::systemd_is_running()) {
                    return std::unique_ptr<launch::ServiceManager>{};
                }
                return launch::connect_systemd();
            }};
}

} // namespace

int main(int argc, char** argv) {
    try {
        // A reader that went away ends us as it ends cat(1), without a message.
        std::signal(SIGPIPE, SIG_DFL);
        std::ios::sync_with_stdio(false);
        auto environment = this_process();
        const std::vector<std::string> words{argv + 1, argv + argc};
        return static_cast<int>(vfsctl::run_program(vfsctl::all_verbs(), words, environment));
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "vfsctl: Out of its depth: %s. Please report this.\n", failure.what());
        return static_cast<int>(vfsctl::ExitCode::failed);
    }
}

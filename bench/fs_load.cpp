// SPDX-License-Identifier: Apache-2.0
// How fast is a virtiofs daemon, beside another one and beside the bare system calls? Plays QEMU
// and the guest's driver itself, so that neither's cost is in the numbers. Runs the daemons in turn
// within each workload, on one directory.
#include "bench/daemon_under_test.h"
#include "bench/fs_workloads.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iostream>

namespace {

using namespace vfskit::bench;

struct Options {
    std::string ours;
    std::string peer;
    std::vector<std::string> ours_args;
    std::vector<std::string> peer_args;
    std::string dir;
    std::vector<std::string> workloads;
    std::string wait = "poll";
    double seconds = 2;
    GuestOptions guest;
};

void print_machine(const Options& options) {
    fmt::print("{}\n", describe_machine());
    fmt::print("queues {}, depth {}, waiting by {}, {} s each, in {}\n",
               options.guest.queues,
               options.guest.depth,
               options.wait,
               options.seconds,
               options.dir);
    for (const std::string& program : {options.ours, options.peer}) {
        if (!program.empty()) {
            fmt::print("{}: {}\n", program, version_of(program));
        }
    }
}

std::string human(double rate) {
    return rate >= 1e6   ? fmt::format("{:.2f} M/s", rate / 1e6)
           : rate >= 1e3 ? fmt::format("{:.1f} k/s", rate / 1e3)
                         : fmt::format("{:.0f} /s", rate);
}

std::chrono::nanoseconds thread_cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

struct Measured {
    double rate = 0;             ///< operations per second
    double cpu_microseconds = 0; ///< the daemon's, per operation
};

// A daemon for each measurement: what one workload left in its tables does not burden the next.
Measured measure(const Options& options,
                 const Subject& subject,
                 const std::string& program,
                 const std::vector<std::string>& args) {
    if (program.empty()) {
        return {};
    }
    const Daemon daemon{program, args, options.dir + ".sock", options.dir};
    FuseGuest guest{daemon.socket_path(), options.guest};
    const Workload workload = subject.make(guest);
    static_cast<void>(guest.run(workload, options.seconds / 10)); // warm
    const auto cpu_before = daemon.cpu_time();
    Measured measured;
    measured.rate = guest.run(workload, options.seconds);
    const std::chrono::duration<double, std::micro> cpu = daemon.cpu_time() - cpu_before;
    measured.cpu_microseconds = cpu.count() / (measured.rate * options.seconds);
    return measured;
}

bool is_wanted(const Options& options, const Subject& subject) {
    return options.workloads.empty() ||
           std::find(options.workloads.begin(), options.workloads.end(), subject.name) !=
               options.workloads.end();
}

void run(const Options& options) {
    print_machine(options);
    const Tree tree{options.dir};
    make_tree(tree);
    fmt::print("{:<22} {:>11} {:>11} {:>11} {:>9} {:>10} {:>27} {:>8}\n",
               "workload",
               "floor",
               "ours",
               "peer",
               "ours/peer",
               "ours/floor",
               "CPU us, floor / ours / peer",
               "less CPU");
    for (const Subject& subject : make_subjects(tree)) {
        if (!is_wanted(options, subject)) {
            continue;
        }
        const auto floor_cpu_before = thread_cpu_time();
        const double floor = run_floor(subject, options.seconds / 4);
        const std::chrono::duration<double, std::micro> floor_cpu =
            thread_cpu_time() - floor_cpu_before;
        const auto ours = measure(options, subject, options.ours, options.ours_args);
        const auto peer = measure(options, subject, options.peer, options.peer_args);
        const bool has_peer = peer.rate > 0;
        fmt::print(
            "{:<22} {:>11} {:>11} {:>11} {:>9} {:>10.2f} {:>8.2f} / {:>6.2f} / {:>6} {:>8}\n",
            subject.name,
            human(floor),
            human(ours.rate),
            has_peer ? human(peer.rate) : "-",
            has_peer ? fmt::format("{:.2f}", ours.rate / peer.rate) : "-",
            ours.rate / floor,
            floor_cpu.count() / (floor * options.seconds / 4),
            ours.cpu_microseconds,
            has_peer ? fmt::format("{:.2f}", peer.cpu_microseconds) : "-",
            has_peer ? fmt::format("{:.2f}", peer.cpu_microseconds / ours.cpu_microseconds) : "-");
        std::fflush(stdout);
    }
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Measures a virtiofs daemon beside another one and beside bare system calls"};
    app.add_option("--ours", options.ours, "The daemon to measure")->required();
    app.add_option("--peer", options.peer, "Another daemon to compare with");
    app.add_option(
        "--ours-arg", options.ours_args, "Further argument of ours (--ours-arg=--xattr)");
    app.add_option("--peer-arg", options.peer_args, "Further argument of the other");
    app.add_option("--dir", options.dir, "Directory to share; made if missing, files stay")
        ->required();
    app.add_option("--queues", options.guest.queues, "Request queues")->check(CLI::Range(1, 64));
    app.add_option("--depth", options.guest.depth, "Requests in flight per queue")
        ->check(CLI::Range(1, 128));
    app.add_option("--wait", options.wait, "How the guest waits for replies")
        ->check(CLI::IsMember({"poll", "event"}));
    app.add_option("--seconds", options.seconds, "Duration of each measurement");
    app.add_option("--workload", options.workloads, "Only these (repeatable)");
    CLI11_PARSE(app, argc, argv);
    options.guest.wait = options.wait == "poll" ? WaitMode::poll : WaitMode::event;
    std::signal(SIGPIPE, SIG_IGN);
    try {
        run(options);
    } catch (const std::exception& error) {
        std::cerr << "fs_load: " << error.what() << "; see " << options.dir << ".sock.log\n";
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

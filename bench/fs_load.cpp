// SPDX-License-Identifier: Apache-2.0
// How fast is a virtiofs daemon, beside another one and beside the bare system calls? Plays QEMU
// and the guest's driver itself, so that neither's cost is in the numbers. Runs the daemons in turn
// within each workload, on one directory.
#include "bench/daemon_under_test.h"
#include "bench/fs_measurement.h"
#include "bench/wake_up.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

using namespace vfskit::bench;

struct Options {
    Contender ours;
    Contender peer;
    std::string dir;
    std::uint64_t small_mebibytes = Tree{}.small_bytes >> 20U;
    std::vector<std::string> workloads;
    std::string wait = "poll";
    double seconds = 2;
    GuestOptions guest;
};

void print_machine(const Options& options) {
    fmt::print("{}\n{}\n", describe_machine(), describe_wake_up());
    fmt::print("queues {}, depth {}, waiting by {}, {} s each, in {}\n",
               options.guest.queues,
               options.guest.depth,
               options.wait,
               options.seconds,
               options.dir);
    for (const std::string& program : {options.ours.program, options.peer.program}) {
        if (!program.empty()) {
            fmt::print("{}: {}\n", program, version_of(program));
        }
    }
}

bool is_wanted(const Options& options, const Subject& subject) {
    return options.workloads.empty() ||
           std::find(options.workloads.begin(), options.workloads.end(), subject.name) !=
               options.workloads.end();
}

void run(const Options& options) {
    print_machine(options);
    Tree tree{options.dir};
    tree.small_bytes = options.small_mebibytes << 20U;
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
        const Measured floor = measure_floor(subject, options.seconds / 4);
        const auto run_one = [&](const Contender& contender) {
            return contender.program.empty()
                       ? Measured{}
                       : measure(contender, subject, options.guest, options.dir, options.seconds);
        };
        const Measured ours = run_one(options.ours);
        const Measured peer = run_one(options.peer);
        const bool has_peer = peer.rate > 0;
        fmt::print(
            "{:<22} {:>11} {:>11} {:>11} {:>9} {:>10.2f} {:>8.2f} / {:>6.2f} / {:>6} {:>8}\n",
            subject.name,
            human_rate(floor.rate),
            human_rate(ours.rate),
            has_peer ? human_rate(peer.rate) : "-",
            has_peer ? fmt::format("{:.2f}", ours.rate / peer.rate) : "-",
            ours.rate / floor.rate,
            floor.cpu_microseconds,
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
    app.add_option("--ours", options.ours.program, "The daemon to measure")->required();
    app.add_option("--peer", options.peer.program, "Another daemon to compare with");
    app.add_option(
        "--ours-arg", options.ours.args, "Further argument of ours (--ours-arg=--xattr)");
    app.add_option("--peer-arg", options.peer.args, "Further argument of the other");
    app.add_option("--dir", options.dir, "Directory to share; made if missing, files stay")
        ->required();
    app.add_option("--small-file",
                   options.small_mebibytes,
                   "MiB of the file that is read and written by 4 KiB")
        ->check(CLI::Range(1, 1 << 20));
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

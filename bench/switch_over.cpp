// SPDX-License-Identifier: Apache-2.0
// How long does a guest stand still because of its share when it migrates? Plays QEMU on both ends
// of a migration: a guest that knows many files and has some open goes from a daemon to another of
// the same kind, of which everything but the moment between stop and start of the rings is left
// out. Each kind in turn, on the same files, and the destination is made to show that it has them.
#include "bench/daemon_under_test.h"
#include "bench/known_files.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace {

using namespace vfskit;
using namespace vfskit::bench;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
    std::string ours;
    std::vector<std::string> peers;
    std::vector<std::string> daemon_args;
    std::string dir;
    std::string copy;
    std::vector<std::size_t> inodes{1000, 10'000, 100'000, 1'000'000};
    std::vector<std::string> methods{"find-paths", "file-handles"};
    std::size_t open_files = 10'000;
    std::size_t changes = 100;
    std::size_t repeat = 1;
};

struct Measured {
    double prepare = 0; ///< CPU seconds between the begin of the migration and its end
    double save = 0;    ///< until the last byte of the state has come
    double still = 0;   ///< until it has been taken over
    double cpu = 0;     ///< seconds that both daemons computed meanwhile
    double first_use = 0;
    std::size_t bytes = 0;
};

/// Preparation while the guest runs is for nothing, within reason.
void wait_until_idle(const Daemon& daemon) {
    auto before = daemon.cpu_time();
    for (int quiet = 0; quiet < 5; ++quiet) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        const auto now = daemon.cpu_time();
        // Whoever serves nobody may still wake up now and then.
        if (now - before > std::chrono::milliseconds{1}) {
            quiet = -1;
        }
        before = now;
    }
}

/// As QEMU does: in pieces of 1 MiB, each sent on as it comes.
std::size_t pump(UniqueFd from, UniqueFd to) {
    std::vector<std::byte> piece(std::size_t{1} << 20U);
    std::size_t total = 0;
    for (;;) {
        const auto got = ::read(from.get(), piece.data(), piece.size());
        if (got < 0) {
            throw std::runtime_error{"cannot read the state"};
        }
        if (got == 0) {
            return total;
        }
        for (ssize_t done = 0; done < got;) {
            const auto written =
                ::write(to.get(), piece.data() + done, static_cast<std::size_t>(got - done));
            if (written < 0) {
                throw std::runtime_error{"the destination does not take the state"};
            }
            done += written;
        }
        total += static_cast<std::size_t>(got);
    }
}

Measured migrate(const Options& options,
                 const std::string& program,
                 const std::string& method,
                 std::size_t inodes) {
    std::vector<std::string> args{
        "--sandbox=chroot", "--inode-file-handles=prefer", "--migration-mode=" + method};
    args.insert(args.end(), options.daemon_args.begin(), options.daemon_args.end());
    const Daemon from{program, args, options.dir + ".source", options.dir};
    const Daemon to{program,
                    args,
                    options.dir + ".destination",
                    options.copy.empty() ? options.dir : options.copy};
    GuestOptions guest_options;
    guest_options.depth = 1;
    FuseGuest source{from.socket_path(), guest_options};
    FuseGuest destination{to.socket_path(), guest_options, Arrival::migrates};
    KnownFiles files;
    files.learn(source, inodes, std::min(options.open_files, inodes / 2));

    Measured measured;
    const auto cpu_before = from.cpu_time();
    source.begin_migration();
    wait_until_idle(from);
    measured.prepare = Seconds{from.cpu_time() - cpu_before}.count();
    files.change(source, std::min(options.changes, inodes / 10));

    const auto cpu_at_stop = from.cpu_time() + to.cpu_time();
    const auto start = Clock::now();
    source.stop();
    auto reader = source.save();
    measured.bytes = pump(std::move(reader), destination.load());
    measured.save = Seconds{Clock::now() - start}.count();
    source.check_state();
    destination.check_state();
    measured.still = Seconds{Clock::now() - start}.count();
    measured.cpu = Seconds{from.cpu_time() + to.cpu_time() - cpu_at_stop}.count();

    destination.resume();
    measured.first_use = files.use(destination, 1000);
    return measured;
}

std::string ratio(double ours, double theirs) {
    return theirs > 0 ? fmt::format("{:.2f}", ours / theirs) : "-";
}

/// `before`: the same daemon's with fewer inodes.
void print(const std::string& who,
           const Measured& measured,
           const Measured& ours,
           const Measured& before) {
    fmt::print("  {:<20} {:>9.1f} ms x{:<5} = {:>8.1f} save + {:>8.1f} load {:>5}  CPU {:>6.0f} ms "
               "{:>5}  prepared {:>6.2f} s  {:>6.1f} MiB  first use {:>5.1f} us\n",
               who,
               measured.still * 1e3,
               ratio(measured.still, before.still),
               measured.save * 1e3,
               (measured.still - measured.save) * 1e3,
               ratio(ours.still, measured.still),
               measured.cpu * 1e3,
               ratio(ours.cpu, measured.cpu),
               measured.prepare,
               static_cast<double>(measured.bytes) / (1U << 20U),
               measured.first_use * 1e6);
    std::fflush(stdout);
}

/// Each in turn, again and again: what the machine does besides meets all of them. The shortest of
/// each, which has least of that.
std::vector<Measured> measure(const Options& options,
                              const std::vector<std::string>& programs,
                              const std::string& method,
                              std::size_t inodes) {
    std::vector<Measured> shortest(programs.size());
    for (std::size_t round = 0; round < options.repeat; ++round) {
        for (std::size_t i = 0; i < programs.size(); ++i) {
            const auto measured = migrate(options, programs[i], method, inodes);
            if (round == 0 || measured.still < shortest[i].still) {
                shortest[i] = measured;
            }
        }
    }
    return shortest;
}

void run(const Options& options) {
    fmt::print("{}\n", describe_machine());
    make_files(options.dir, *std::max_element(options.inodes.begin(), options.inodes.end()));
    fmt::print("the guest stands still for; x: times what it was with fewer inodes; the ratios are "
               "ours/theirs; {} files renamed since the migration began; the shortest of {}\n",
               options.changes,
               options.repeat);
    std::vector<std::string> programs{options.ours};
    programs.insert(programs.end(), options.peers.begin(), options.peers.end());
    for (const auto& method : options.methods) {
        std::vector<Measured> before(programs.size());
        for (const auto inodes : options.inodes) {
            fmt::print("{}, {} inodes, {} open files\n",
                       method,
                       inodes,
                       std::min(options.open_files, inodes / 2));
            const auto measured = measure(options, programs, method, inodes);
            for (std::size_t i = 0; i < programs.size(); ++i) {
                const auto who = i == 0 ? std::string{"ours"} : version_of(programs[i]);
                print(who, measured[i], measured.front(), before[i]);
            }
            before = measured;
        }
    }
}

/// A guest with 10 000 open files and a million inodes needs descriptors, here as in its daemon's
/// service.
void raise_fd_limit() {
    constexpr rlim_t wanted = 1'000'000;
    const rlimit limit{wanted, wanted};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        std::cerr << "switch_over: the limit of open files stays as it is: " << std::strerror(errno)
                  << '\n';
    }
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Measures how long a guest stands still for its share when it migrates"};
    app.add_option("--ours", options.ours, "The daemon to measure")->required();
    app.add_option("--peer", options.peers, "Another daemon to compare with (repeatable)");
    app.add_option("--daemon-arg",
                   options.daemon_args,
                   "Further argument of all daemons (--daemon-arg=--migration-verify-handles)");
    app.add_option("--dir", options.dir, "Directory to share; made if missing, files stay")
        ->required();
    app.add_option("--copy", options.copy, "What the destination shares, if not the same");
    app.add_option("--inodes", options.inodes, "How many files the guest knows (repeatable)");
    app.add_option("--method", options.methods, "find-paths, file-handles (repeatable)");
    app.add_option("--open-files", options.open_files, "How many of them it has open");
    app.add_option("--changes", options.changes, "How many it renames while it migrates");
    app.add_option("--repeat", options.repeat, "How often to measure each")
        ->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    try {
        run(options);
    } catch (const std::exception& error) {
        std::cerr << "switch_over: " << error.what() << "; see " << options.dir
                  << ".source.log and .destination.log\n";
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

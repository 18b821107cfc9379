// SPDX-License-Identifier: Apache-2.0
// Where is a virtiofs daemon faster than another one, and where slower? Every workload at every
// depth, with every number of queues, polled and by interrupts; ratios of medians.
#include "bench/daemon_under_test.h"
#include "bench/fs_measurement.h"
#include "bench/wake_up.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>

namespace {

using namespace vfskit::bench;

struct Options {
    Contender ours;
    Contender peer;
    std::string dir;
    std::vector<unsigned> depths{1, 4, 32, 128};
    std::vector<unsigned> queues{1, 2, 4};
    std::vector<std::string> waits{"poll", "event"};
    unsigned rounds = 5;
    double seconds = 0.2;
};

struct Situation {
    unsigned queues = 1;
    std::string wait;
    unsigned depth = 1;
    std::string workload;

    auto operator<=>(const Situation&) const = default;
};

class Samples {
public:
    void add(const Measured& measured) {
        rates_.push_back(measured.rate);
        cpu_.push_back(measured.cpu_microseconds);
    }
    [[nodiscard]] Measured median() const { return {middle(rates_), middle(cpu_)}; }

private:
    static double middle(std::vector<double> values) {
        const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        std::nth_element(values.begin(), half, values.end());
        return *half;
    }
    std::vector<double> rates_;
    std::vector<double> cpu_;
};

struct Pair {
    Samples ours;
    Samples peer;
    Samples bare; ///< where print_figures() asks for it
};
using Results = std::map<Situation, Pair>;

double rate_ratio(const Pair& pair) {
    return pair.ours.median().rate / pair.peer.median().rate;
}

double cpu_ratio(const Pair& pair) {
    return pair.peer.median().cpu_microseconds / pair.ours.median().cpu_microseconds;
}

std::vector<Situation> situations(const Options& options, const std::vector<Subject>& subjects) {
    std::vector<Situation> all;
    for (const unsigned queues : options.queues) {
        for (const std::string& wait : options.waits) {
            for (const unsigned depth : options.depths) {
                for (const Subject& subject : subjects) {
                    all.push_back({queues, wait, depth, subject.name});
                }
            }
        }
    }
    return all;
}

// The two in turn, and each of them first in every other round: what else the machine does hits
// both.
void measure_pair(const Options& options,
                  const Subject& subject,
                  const Situation& at,
                  bool peer_first,
                  Pair& pair) {
    GuestOptions guest;
    guest.queues = at.queues;
    guest.depth = at.depth;
    guest.wait = at.wait == "poll" ? WaitMode::poll : WaitMode::event;
    for (const bool is_peer : {peer_first, !peer_first}) {
        (is_peer ? pair.peer : pair.ours)
            .add(measure(is_peer ? options.peer : options.ours,
                         subject,
                         guest,
                         options.dir,
                         options.seconds));
    }
}

// The situation that the baselines are given for.
Situation figures_situation(const Options& options, const std::string& workload) {
    const auto found = std::find(options.depths.begin(), options.depths.end(), 32U);
    return {options.queues.front(),
            options.waits.front(),
            found == options.depths.end() ? options.depths.back() : *found,
            workload};
}

Results measure_all(const Options& options, const std::vector<Subject>& subjects) {
    Results results;
    const auto all = situations(options, subjects);
    for (unsigned round = 0; round < options.rounds; ++round) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            fmt::print(
                stderr, "\rround {}/{}, {}/{} ", round + 1, options.rounds, i + 1, all.size());
            const auto subject =
                std::find_if(subjects.begin(), subjects.end(), [&](const Subject& one) {
                    return one.name == all[i].workload;
                });
            Pair& pair = results[all[i]];
            measure_pair(options, *subject, all[i], round % 2 != 0, pair);
            if (all[i] == figures_situation(options, subject->name)) {
                pair.bare.add(measure_floor(*subject, options.seconds));
            }
        }
    }
    fmt::print(stderr, "\r{:40}\r", "");
    return results;
}

// Each cell: how many times as many operations, and how many times less CPU time for one.
void print_table(const Options& options,
                 const std::vector<Subject>& subjects,
                 const Results& results,
                 unsigned queues,
                 const std::string& wait) {
    fmt::print("\n{} request queue{}, guest {}\n\n| ours : peer, rate (CPU) |",
               queues,
               queues == 1 ? "" : "s",
               wait == "poll" ? "polls" : "waits for interrupts");
    for (const unsigned depth : options.depths) {
        fmt::print(" depth {} |", depth);
    }
    fmt::print("\n|---|");
    for (std::size_t i = 0; i < options.depths.size(); ++i) {
        fmt::print("---|");
    }
    for (const Subject& subject : subjects) {
        fmt::print("\n| {} |", subject.name);
        for (const unsigned depth : options.depths) {
            const Pair& pair = results.at({queues, wait, depth, subject.name});
            fmt::print(" {:.2f} ({:.2f}) |", rate_ratio(pair), cpu_ratio(pair));
        }
    }
    fmt::print("\n");
}

// In figures. The bare calls were measured right after the daemons, in each round.
void print_figures(const Options& options,
                   const std::vector<Subject>& subjects,
                   const Results& results) {
    const Situation at = figures_situation(options, "");
    fmt::print(
        "\n{} request queue{}, depth {}, {}\n\n"
        "| | bare calls | ours | peer | ours : peer | bare : peer | CPU us: bare | ours | peer |\n"
        "|---|---|---|---|---|---|---|---|---|\n",
        at.queues,
        at.queues == 1 ? "" : "s",
        at.depth,
        at.wait);
    for (const Subject& subject : subjects) {
        const Pair& pair = results.at(figures_situation(options, subject.name));
        const Measured floor = pair.bare.median();
        const Measured ours = pair.ours.median();
        const Measured peer = pair.peer.median();
        fmt::print("| {} | {} | {} | {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |\n",
                   subject.name,
                   human_rate(floor.rate),
                   human_rate(ours.rate),
                   human_rate(peer.rate),
                   ours.rate / peer.rate,
                   floor.rate / peer.rate,
                   floor.cpu_microseconds,
                   ours.cpu_microseconds,
                   peer.cpu_microseconds);
    }
}

void print_slower(const Results& results) {
    fmt::print("\nSlower than the peer:\n");
    bool is_any = false;
    for (const auto& [at, pair] : results) {
        if (rate_ratio(pair) < 1) {
            is_any = true;
            fmt::print("- {}, {} queue(s), depth {}, {}: {:.2f} (CPU {:.2f})\n",
                       at.workload,
                       at.queues,
                       at.depth,
                       at.wait,
                       rate_ratio(pair),
                       cpu_ratio(pair));
        }
    }
    if (!is_any) {
        fmt::print("- nowhere\n");
    }
}

void run(const Options& options) {
    fmt::print("{}\n{}\n{} s each, median of {} rounds, in {}\nours: {}\npeer: {}\n",
               describe_machine(),
               describe_wake_up(),
               options.seconds,
               options.rounds,
               options.dir,
               version_of(options.ours.program),
               version_of(options.peer.program));
    const Tree tree{options.dir};
    make_tree(tree);
    const auto subjects = make_subjects(tree);
    const Results results = measure_all(options, subjects);
    print_figures(options, subjects, results);
    for (const unsigned queues : options.queues) {
        for (const std::string& wait : options.waits) {
            print_table(options, subjects, results, queues, wait);
        }
    }
    print_slower(results);
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Compares a virtiofs daemon with another one in every situation"};
    app.add_option("--ours", options.ours.program, "The daemon to measure")->required();
    app.add_option("--peer", options.peer.program, "The one to compare with")->required();
    app.add_option("--dir", options.dir, "Directory to share; made if missing, files stay")
        ->required();
    app.add_option("--depth", options.depths, "Requests in flight per queue")
        ->check(CLI::Range(1, 128));
    app.add_option("--queues", options.queues, "Request queues")->check(CLI::Range(1, 64));
    app.add_option("--wait", options.waits, "How the guest waits for replies")
        ->check(CLI::IsMember({"poll", "event"}));
    app.add_option("--rounds", options.rounds, "How often each is measured")
        ->check(CLI::Range(1, 99));
    app.add_option("--seconds", options.seconds, "Duration of each measurement");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        run(options);
    } catch (const std::exception& error) {
        std::cerr << "fs_matrix: " << error.what() << "; see " << options.dir << ".sock.log\n";
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/top.h"

#include "core/base/text.h"
#include "core/control/client.h"
#include "core/control/rates.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

namespace vfskit::vfsctl {

using control::DaemonSocket;
using control::Rates;
using control::Status;
using nlohmann::ordered_json;

namespace {

// A daemon that has no answer for this long is shown as one that has none: the others go on.
constexpr std::chrono::seconds answer_time{2};

Result<std::chrono::milliseconds> parse_interval(std::string_view word) {
    const auto point = word.find('.');
    VFSKIT_TRY_ASSIGN(const auto seconds,
                      base::parse_unsigned(word.substr(0, point), "the interval", 86'400));
    std::uint64_t tenths = 0;
    if (point != std::string_view::npos) {
        VFSKIT_TRY_ASSIGN(tenths, base::parse_unsigned(word.substr(point + 1), "its tenths", 9));
    }
    if (seconds == 0 && tenths == 0) {
        return Error{EINVAL, "An interval of no length holds nothing to see"}.with_remedy(
            "Give at least 0.1");
    }
    return std::chrono::milliseconds{seconds * 1000 + tenths * 100};
}

void bind(TopOptions& options, OptionSet& set) {
    bind_daemon_choice(options.daemons, set);
    set.value({.name = "--interval",
               .value = "SECONDS",
               .help = "Time between two looks, in steps of 0.1. Default: 2"},
              options.interval,
              parse_interval)
        .number({.name = "--count",
                 .value = "N",
                 .help = "End after N intervals. Default: on, until interrupted"},
                options.count)
        .flag({.name = "--once", .help = "The same as --count 1"}, options.once);
}

/// One daemon across looks: the connection and what it said last.
class Watched {
public:
    /// Asks again; connects first where there is no connection.
    void look(const DaemonSocket& socket) {
        before_ = std::exchange(now_, std::nullopt);
        auto status = ask(socket);
        if (status) {
            now_ = std::move(*status);
            failure_.reset();
        } else {
            client_.reset();
            failure_ = std::move(status).error();
        }
    }
    [[nodiscard]] const std::optional<Status>& now() const { return now_; }
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
    /// Nothing until it answered twice in a row.
    [[nodiscard]] std::optional<Rates> rates() const {
        return before_ && now_ ? std::optional{control::rates_between(*before_, *now_)}
                               : std::nullopt;
    }

private:
    Result<Status> ask(const DaemonSocket& socket) {
        if (!client_) {
            VFSKIT_TRY_ASSIGN(client_, control::Client::connect(socket.path, answer_time));
        }
        return client_->status();
    }

    std::optional<control::Client> client_;
    std::optional<Status> before_;
    std::optional<Status> now_;
    std::optional<Error> failure_;
};

/// Every chosen daemon; those that start are taken up, those that end are dropped.
class Watch {
public:
    Watch(const TopOptions& options, const Services& services)
        : options_{options}, services_{services} {}

    Result<void> look() {
        VFSKIT_TRY_ASSIGN(sockets_, find_daemons(options_.daemons, services_));
        std::erase_if(daemons_, [&](const auto& entry) {
            return std::ranges::find(sockets_, entry.first, &DaemonSocket::path) == sockets_.end();
        });
        for (const auto& socket : sockets_) {
            daemons_[socket.path].look(socket);
        }
        return {};
    }
    [[nodiscard]] const std::vector<DaemonSocket>& sockets() const { return sockets_; }
    [[nodiscard]] const Watched& at(const DaemonSocket& socket) const {
        return daemons_.at(socket.path);
    }

private:
    const TopOptions& options_;
    const Services& services_;
    std::vector<DaemonSocket> sockets_;
    std::map<std::string, Watched> daemons_;
};

std::uint64_t queue_depth(const Status& status) {
    std::uint64_t depth = 0;
    for (const auto& queue : status.queues) {
        depth += queue.depth;
    }
    return depth;
}

std::string latency(std::chrono::nanoseconds time) {
    return time.count() == 0 ? "-" : short_duration(time);
}

void add_row(const DaemonSocket& socket, const Watched& daemon, Table& table) {
    const bool has_place = !socket.vm.empty();
    const auto& status = daemon.now();
    const auto rates = daemon.rates();
    std::vector<std::string> cells{has_place ? socket.vm : "-",
                                   has_place                        ? socket.tag
                                   : status && !status->tag.empty() ? status->tag
                                                                    : "-"};
    if (rates) {
        cells.insert(cells.end(),
                     {short_count(rates->operations_per_second),
                      latency(rates->p50),
                      latency(rates->p99),
                      short_bytes(rates->bytes_read_per_second),
                      short_bytes(rates->bytes_written_per_second)});
    } else {
        cells.resize(7, "-");
    }
    if (status) {
        cells.insert(
            cells.end(),
            {fmt::to_string(queue_depth(*status)),
             short_count(static_cast<double>(status->inodes)),
             short_count(static_cast<double>(status->fds)),
             status->is_connected ? status->shared_dir : status->shared_dir + " (no VM attached)"});
    } else {
        cells.insert(cells.end(), {"-", "-", "-", daemon.failure()->message()});
    }
    table.add(cells);
    if (!status) {
        table.color_last(cells.size() - 1, Color::red);
    }
}

std::string operations_text(const Rates& rates, const Output& output) {
    Table table{{"REQUEST", "PER S", "MEAN", "P50", "P99", "ERRORS"}};
    for (const auto& operation : rates.operations) {
        table.add({operation.name,
                   short_count(operation.per_second),
                   latency(operation.mean),
                   latency(operation.p50),
                   latency(operation.p99),
                   fmt::to_string(operation.errors)});
    }
    return table.is_empty() ? "" : "\n" + table.render(output);
}

std::string page_of(const Watch& watch, const Output& output) {
    Table table{{"VM",
                 "TAG",
                 "OPS/S",
                 "P50",
                 "P99",
                 "READ/S",
                 "WRITE/S",
                 "QUEUED",
                 "INODES",
                 "FDS",
                 "DIRECTORY"}};
    for (const auto& socket : watch.sockets()) {
        add_row(socket, watch.at(socket), table);
    }
    auto page = table.is_empty() ? "No daemons\n" : table.render(output);
    if (watch.sockets().size() == 1) {
        if (const auto rates = watch.at(watch.sockets().front()).rates(); rates) {
            page += operations_text(*rates, output);
        }
    }
    return page;
}

ordered_json to_json(const Rates& rates) {
    ordered_json json{{"interval-ms", rates.interval.count()},
                      {"operations-per-second", rates.operations_per_second},
                      {"errors-per-second", rates.errors_per_second},
                      {"bytes-read-per-second", rates.bytes_read_per_second},
                      {"bytes-written-per-second", rates.bytes_written_per_second},
                      {"p50-ns", rates.p50.count()},
                      {"p99-ns", rates.p99.count()},
                      {"operations", ordered_json::array()}};
    for (const auto& operation : rates.operations) {
        json["operations"].push_back({{"name", to_utf8(operation.name)},
                                      {"per-second", operation.per_second},
                                      {"errors", operation.errors},
                                      {"mean-ns", operation.mean.count()},
                                      {"p50-ns", operation.p50.count()},
                                      {"p99-ns", operation.p99.count()}});
    }
    return json;
}

ordered_json document_of(const Watch& watch) {
    auto document = make_document("top");
    document["daemons"] = ordered_json::array();
    for (const auto& socket : watch.sockets()) {
        const auto& watched = watch.at(socket);
        auto daemon = vfsctl::to_json(socket);
        if (const auto& status = watched.now(); status) {
            daemon["is-connected"] = status->is_connected;
            daemon["inodes"] = status->inodes;
            daemon["fds"] = status->fds;
            daemon["queue-depth"] = queue_depth(*status);
        } else {
            daemon["failure"] = failure_to_json(*watched.failure());
        }
        if (const auto rates = watched.rates(); rates) {
            daemon["rates"] = to_json(*rates);
        }
        document["daemons"].push_back(std::move(daemon));
    }
    return document;
}

/// A terminal is written over in place; elsewhere one page follows the other.
class Screen {
public:
    explicit Screen(Services& services)
        : services_{services}, is_terminal_{services.environment.out_is_terminal &&
                                            services.environment.variable("TERM") != "dumb"} {}

    void show(const Watch& watch) {
        auto& output = services_.output;
        if (output.is_json()) {
            output.print(
                document_of(watch).dump(-1, ' ', false, ordered_json::error_handler_t::replace) +
                "\n");
        } else if (is_terminal_) {
            show_in_place(page_of(watch, output));
        } else {
            output.print((pages_ == 0 ? "" : "\n") + page_of(watch, output));
        }
        ++pages_;
        services_.environment.out.flush();
    }

private:
    void show_in_place(const std::string& page) {
        // Each line is cleared as it is written, and the rest below: clearing first would flicker.
        std::string text = pages_ == 0 ? "\033[2J\033[H" : "\033[H";
        for (const char c : page) {
            text += c == '\n' ? std::string{"\033[K\n"} : std::string{c};
        }
        services_.output.print(text + "\033[J");
    }

    Services& services_;
    bool is_terminal_;
    std::uint64_t pages_ = 0;
};

} // namespace

Verb top_verb() {
    return make_verb<TopOptions>(
        {.path = "top",
         .summary = "Watch running daemons at work",
         .description =
             "One row per daemon: requests per second, how long half and 99 of 100 of them took "
             "at most, bytes per second, requests that wait in its queues, inodes and descriptors "
             "held for the guest. A single daemon is shown with its kinds of request. On a "
             "terminal the table is renewed in place, elsewhere a new one follows; with --json "
             "every interval is one line.",
         .examples = R"(
vfsctl top
vfsctl top 100 --interval 0.5
vfsctl top 100 media --once
vfsctl top --json --count 10 | jq -c '.daemons[].rates')"},
        bind,
        run_top);
}

Result<ExitCode> run_top(const TopOptions& options, Services& services) {
    if (options.once && options.count.value_or(1) != 1) {
        return Error{EINVAL, "--once and --count do not agree"}.with_remedy("Leave one out");
    }
    const auto count = options.once ? std::optional<std::uint64_t>{1} : options.count;
    Watch watch{options, services};
    Screen screen{services};
    // Rates need two looks: the first page comes after the first interval.
    VFSKIT_TRY(watch.look());
    for (std::uint64_t page = 0; !count || page < *count; ++page) {
        services.environment.pause(options.interval);
        VFSKIT_TRY(watch.look());
        screen.show(watch);
        if (!services.environment.out.good()) {
            break;
        }
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

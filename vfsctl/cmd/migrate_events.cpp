// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/migrate_events.h"

#include "vfsctl/output/json.h"
#include "vfsctl/output/quantities.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

using nlohmann::ordered_json;

namespace {

// libvirt's own part takes tenths of a second; what takes longer is a hook, or a daemon's start.
constexpr std::chrono::seconds patience{3};

} // namespace

MigrationEvents::MigrationEvents(Services& services, std::string domain, std::string node)
    : services_{services}, domain_{std::move(domain)}, node_{std::move(node)} {
    const auto& environment = services.environment;
    bar_.emplace(environment.err,
                 environment.err_is_terminal && !services.output.is_json(),
                 environment.columns);
}

ordered_json MigrationEvents::make_event(std::string_view event) const {
    auto document = make_document("migrate-event");
    document["event"] = event;
    document["domain"] = to_utf8(domain_);
    document["node"] = node_;
    return document;
}

void MigrationEvents::print(const ordered_json& event) {
    services_.output.print(event.dump() + "\n");
    services_.environment.out.flush(); // a reader acts on it now
}

void MigrationEvents::warn(std::string_view sentence) {
    if (!services_.output.is_json()) {
        services_.output.warn(sentence);
        return;
    }
    auto event = make_event("warning");
    event["message"] = to_utf8(sentence);
    print(event);
}

void MigrationEvents::checked(const CheckedVm& vm, const std::vector<FactsOrigin>& origins) {
    auto& output = services_.output;
    if (!output.is_json()) {
        output.say(render(origins));
        output.print(render(vm, output));
        return;
    }
    auto event = make_event("checked");
    event["facts"] = to_json(origins);
    event["vm"] = to_json(vm);
    print(event);
}

void MigrationEvents::planned(const std::vector<domain::Rewrite>& rewrites, bool is_stored) {
    auto& output = services_.output;
    if (!output.is_json()) {
        for (const auto& rewrite : rewrites) {
            output.say(fmt::format("{}: {} {} -> {}",
                                   rewrite.tag,
                                   rewrite.what,
                                   rewrite.from,
                                   rewrite.to.empty() ? "libvirt's choice there" : rewrite.to));
        }
        output.say(fmt::format("'{}' goes to {}{}",
                               domain_,
                               node_,
                               is_stored ? ", and its definition is stored there" : ""));
        return;
    }
    auto event = make_event("planned");
    event["is-stored"] = is_stored;
    event["rewrites"] = ordered_json::array();
    for (const auto& rewrite : rewrites) {
        ordered_json item{{"tag", to_utf8(rewrite.tag)},
                          {"mapping", to_utf8(rewrite.dirid)},
                          {"what", rewrite.what},
                          {"from", to_utf8(rewrite.from)}};
        if (!rewrite.to.empty()) {
            item["to"] = to_utf8(rewrite.to);
        }
        event["rewrites"].push_back(std::move(item));
    }
    print(event);
}

void MigrationEvents::wait(std::chrono::milliseconds elapsed) {
    bar_->show(0, fmt::format("{} makes itself ready, {}", node_, short_duration(elapsed)));
    if (elapsed >= patience && !has_told_wait_) {
        has_told_wait_ = true;
        warn(fmt::format("Waiting for {}: its hooks in /etc/libvirt/hooks, which libvirt gives all "
                         "the time they take, or its daemons. The guest goes on here meanwhile",
                         node_));
    }
}

void MigrationEvents::progress(const JobProgress& progress) {
    if (progress.total == 0) {
        wait(progress.elapsed);
        return;
    }
    if (!services_.output.is_json()) {
        const auto total = static_cast<double>(progress.total);
        const auto left = static_cast<double>(progress.remaining);
        bar_->show(1.0 - left / total,
                   fmt::format("{} left, {}/s, pass {}{}",
                               short_bytes(left),
                               short_bytes(static_cast<double>(progress.bytes_per_second)),
                               progress.iterations,
                               progress.downtime ? fmt::format(", downtime {}",
                                                               short_duration(*progress.downtime))
                                                 : ""));
        return;
    }
    auto event = make_event("progress");
    event["elapsed-ms"] = progress.elapsed.count();
    event["total-bytes"] = progress.total;
    event["processed-bytes"] = progress.processed;
    event["remaining-bytes"] = progress.remaining;
    event["bytes-per-second"] = progress.bytes_per_second;
    event["iterations"] = progress.iterations;
    if (progress.downtime) {
        event["expected-downtime-ms"] = progress.downtime->count();
    }
    print(event);
}

void MigrationEvents::done(const JobProgress& figures) {
    bar_.reset();
    if (!services_.output.is_json()) {
        services_.output.say(fmt::format(
            "'{}' runs on {}: {} in all{}",
            domain_,
            node_,
            short_duration(figures.elapsed),
            figures.downtime
                ? fmt::format(", standing still for {}", short_duration(*figures.downtime))
                : ""));
        return;
    }
    auto event = make_event("done");
    event["elapsed-ms"] = figures.elapsed.count();
    if (figures.downtime) {
        event["downtime-ms"] = figures.downtime->count();
    }
    event["processed-bytes"] = figures.processed;
    print(event);
}

} // namespace vfskit::vfsctl

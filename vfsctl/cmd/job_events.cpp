// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/job_events.h"

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

JobEvents::JobEvents(Services& services, Job job) : services_{services}, job_{std::move(job)} {
    const auto& environment = services.environment;
    bar_.emplace(environment.err,
                 environment.err_is_terminal && !services.output.is_json(),
                 environment.columns);
}

ordered_json JobEvents::make_event(std::string_view event) const {
    auto document = make_document(job_.kind);
    document["event"] = event;
    for (const auto& [key, value] : job_.names) {
        document[key] = to_utf8(value);
    }
    return document;
}

void JobEvents::print(const ordered_json& event) {
    services_.output.print(event.dump() + "\n");
    services_.environment.out.flush(); // a reader acts on it now
}

void JobEvents::warn(std::string_view sentence) {
    if (!services_.output.is_json()) {
        services_.output.warn(sentence);
        return;
    }
    auto event = make_event("warning");
    event["message"] = to_utf8(sentence);
    print(event);
}

void JobEvents::checked(const CheckedVm& vm, const std::vector<FactsOrigin>& origins) {
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

void JobEvents::planned(const std::vector<domain::Rewrite>& rewrites,
                        std::optional<bool> is_stored,
                        std::string_view sentence) {
    auto& output = services_.output;
    if (!output.is_json()) {
        for (const auto& rewrite : rewrites) {
            output.say(fmt::format("{}: {} {} -> {}",
                                   rewrite.tag,
                                   rewrite.what,
                                   rewrite.from,
                                   rewrite.to.empty() ? "libvirt's choice there" : rewrite.to));
        }
        output.say(sentence);
        return;
    }
    auto event = make_event("planned");
    if (is_stored) {
        event["is-stored"] = *is_stored;
    }
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

void JobEvents::wait(std::chrono::milliseconds elapsed) {
    bar_->show(0, fmt::format("{}, {}", job_.waiting, short_duration(elapsed)));
    if (elapsed >= patience && !has_told_wait_ && !job_.long_wait.empty()) {
        has_told_wait_ = true;
        warn(job_.long_wait);
    }
}

void JobEvents::progress(const JobProgress& progress) {
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

void JobEvents::done(const JobProgress& figures, std::string_view sentence) {
    bar_.reset();
    if (!services_.output.is_json()) {
        services_.output.say(sentence);
        return;
    }
    auto event = make_event("done");
    event["elapsed-ms"] = figures.elapsed.count();
    if (figures.downtime) {
        event["downtime-ms"] = figures.downtime->count();
    }
    if (figures.processed > 0) {
        event["processed-bytes"] = figures.processed;
    }
    print(event);
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// A libvirt in memory: domains with a live and a stored definition.
#pragma once

#include "core/domain/domain_xml.h"
#include "vfsctl/libvirt/connection.h"

#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::test {

using vfsctl::ChangeScope;
using vfsctl::DefinitionKind;
using vfsctl::DomainEvent;
using vfsctl::DomainState;
using vfsctl::HypervisorVersions;
using vfsctl::JobProgress;
using vfsctl::LibvirtConnection;
using vfsctl::MigrationRequest;
using vfsctl::ProgressCallback;
using vfsctl::RestoreRequest;
using vfsctl::SaveRequest;

struct FakeDomain {
    DomainState state;
    std::string live;   // "" while it does not run
    std::string stored; // "" when it is transient
};

/// What the verbs did to it, and the domains afterwards. Shared by every connection to one uri.
struct FakeHost {
    std::map<std::string, FakeDomain> domains;
    HypervisorVersions versions{"n1", 11'003'000, 10'000'002};
    std::vector<std::string> calls;
    std::vector<std::string> blockers;
    std::vector<std::string> dead;
    std::vector<DomainEvent> events;
    std::function<void()> on_event = [] {};  // before each event
    std::function<void()> on_detach = [] {}; // when a device is asked for: the guest's consent
    std::function<void()> on_lost = [] {};   // when a watched connection is lost
    int times_watched = 0;
    std::optional<MigrationRequest> migration;
    std::optional<Error> migration_error;     // of whatever job there is
    std::map<std::string, std::string> saved; // definitions by file
    std::optional<RestoreRequest> restored;
    std::string hook_from; // what a hook of this host replaces in a restored definition …
    std::string hook_to;   // … and by what
    std::vector<std::chrono::milliseconds> waits; // progress before the destination is ready
};

class FakeLibvirt final : public LibvirtConnection {
public:
    FakeLibvirt(std::string uri, FakeHost& host) : uri_{std::move(uri)}, host_{host} {}

    [[nodiscard]] const std::string& uri() const override { return uri_; }
    Result<HypervisorVersions> versions() override { return host_.versions; }
    Result<std::vector<DomainState>> domains() override {
        std::vector<DomainState> states;
        for (const auto& [name, domain] : host_.domains) {
            states.push_back(domain.state);
        }
        return states;
    }
    Result<DomainState> find_domain(const std::string& domain) override {
        VFSKIT_TRY_ASSIGN(const auto* found, find(domain));
        return found->state;
    }
    Result<std::string> definition(const std::string& domain, DefinitionKind kind) override {
        VFSKIT_TRY_ASSIGN(const auto* found, find(domain));
        const bool wants_stored = kind == DefinitionKind::inactive && !found->stored.empty();
        return wants_stored || found->live.empty() ? found->stored : found->live;
    }
    Result<void> define(const std::string& xml) override {
        VFSKIT_TRY_ASSIGN(const auto parsed, domain::parse_domain(xml));
        host_.calls.push_back("define " + parsed.name);
        auto& domain = host_.domains[parsed.name];
        domain.state.name = parsed.name;
        domain.state.is_persistent = true;
        domain.stored = xml;
        return {};
    }
    Result<void> set_metadata(const std::string& domain,
                              const std::string& namespace_uri,
                              const std::string& xml,
                              ChangeScope scope) override {
        VFSKIT_TRY(find(domain));
        host_.calls.push_back("metadata " + domain + scope_words(scope) + " " + namespace_uri +
                              " " + xml);
        return {};
    }
    Result<void>
    attach_device(const std::string& domain, const std::string& xml, ChangeScope scope) override {
        VFSKIT_TRY(find(domain));
        host_.calls.push_back("attach " + domain + scope_words(scope) + "\n" + xml);
        return {};
    }
    Result<void>
    detach_device(const std::string& domain, const std::string& xml, ChangeScope scope) override {
        VFSKIT_TRY(find(domain));
        host_.calls.push_back("detach " + domain + scope_words(scope) + "\n" + xml);
        host_.on_detach();
        return {};
    }
    Result<JobProgress> migrate(const std::string& domain,
                                LibvirtConnection& destination,
                                const MigrationRequest& request,
                                const ProgressCallback& progress,
                                const std::atomic<bool>& cancel) override {
        VFSKIT_TRY_ASSIGN(auto* found, find(domain));
        host_.migration = request;
        for (const auto elapsed : host_.waits) {
            JobProgress waiting;
            waiting.elapsed = elapsed;
            progress(waiting);
        }
        VFSKIT_TRY(run_job(progress, cancel));
        auto& there = dynamic_cast<FakeLibvirt&>(destination).host_.domains[domain];
        there.state = found->state;
        there.live = request.destination_xml;
        there.stored = request.persistent_xml.value_or("");
        found->state.is_running = false;
        return JobProgress{.elapsed = std::chrono::milliseconds{1500},
                           .total = 100,
                           .processed = 100,
                           .remaining = 0,
                           .bytes_per_second = 0,
                           .iterations = 3,
                           .downtime = std::chrono::milliseconds{30}};
    }
    Result<JobProgress> save(const std::string& domain,
                             const SaveRequest& request,
                             const ProgressCallback& progress,
                             const std::atomic<bool>& cancel) override {
        VFSKIT_TRY_ASSIGN(auto* found, find(domain));
        VFSKIT_TRY(run_job(progress, cancel));
        host_.saved[request.file] = request.xml;
        found->state.is_running = false;
        JobProgress done;
        done.elapsed = std::chrono::milliseconds{1500};
        done.processed = 100;
        return done;
    }
    Result<std::string> saved_definition(const std::string& file) override {
        const auto found = host_.saved.find(file);
        if (found == host_.saved.end()) {
            return Error{EIO, "Cannot read the saved domain '" + file + "'"};
        }
        return found->second;
    }
    Result<JobProgress> restore(const RestoreRequest& request,
                                const ProgressCallback& progress) override {
        host_.restored = request;
        JobProgress waiting;
        for (const auto elapsed : host_.waits) {
            waiting.elapsed = elapsed;
            progress(waiting);
        }
        if (host_.migration_error) {
            return Error{*host_.migration_error};
        }
        VFSKIT_TRY_ASSIGN(const auto parsed, domain::parse_domain(request.xml));
        auto& domain = host_.domains[parsed.name];
        domain.state.name = parsed.name;
        domain.state.is_running = true;
        domain.state.is_paused = request.stays_paused;
        domain.live = request.xml;
        if (const auto at = domain.live.find(host_.hook_from);
            !host_.hook_from.empty() && at != std::string::npos) {
            domain.live.replace(at, host_.hook_from.size(), host_.hook_to);
        }
        waiting.elapsed = std::chrono::milliseconds{1500};
        return waiting;
    }
    Result<std::vector<std::string>> migration_blockers(const std::string& /*domain*/) override {
        return host_.blockers;
    }
    Result<std::vector<std::string>> dead_daemons(const std::string& /*domain*/) override {
        return host_.dead;
    }
    Result<void> watch(const std::function<void(const DomainEvent&)>& handler,
                       const std::atomic<bool>& /*stop*/) override {
        ++host_.times_watched;
        for (const auto& event : host_.events) {
            host_.on_event();
            handler(event);
        }
        host_.on_lost();
        return Error{ECONNRESET, "The connection is lost"};
    }

private:
    Result<FakeDomain*> find(const std::string& domain) {
        const auto found = host_.domains.find(domain);
        if (found == host_.domains.end()) {
            return Error{ENOENT, "There is no domain '" + domain + "'"};
        }
        return &found->second;
    }
    /// Half of it, and then what the host was told to do.
    Result<void> run_job(const ProgressCallback& progress, const std::atomic<bool>& cancel) const {
        progress({.elapsed = std::chrono::milliseconds{200},
                  .total = 100,
                  .processed = 40,
                  .remaining = 60,
                  .bytes_per_second = 200,
                  .iterations = 1,
                  .downtime = std::nullopt});
        if (cancel) {
            return Error{ECANCELED, "It was cancelled"};
        }
        if (host_.migration_error) {
            return Error{*host_.migration_error};
        }
        return {};
    }
    static std::string scope_words(ChangeScope scope) {
        return std::string{scope.live ? " live" : ""} + (scope.config ? " config" : "");
    }

    std::string uri_;
    FakeHost& host_;
};

} // namespace vfskit::test

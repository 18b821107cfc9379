// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/watch.h"

#include "core/domain/domain_xml.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

// After a lost connection: libvirtd is back within a second or two of its restart.
constexpr std::chrono::seconds reconnect_pause{2};

void bind(WatchOptions& options, OptionSet& set) {
    bind_connect_option(options.connect, set);
    set.flag({.name = "--once", .help = "Look at every domain once and end"}, options.once)
        .flag({.name = "--dry-run", .help = "Say what would be stored and store nothing"},
              options.dry_run);
}

/// Looks at one libvirt's domains and mends what a migration stored wrongly.
class Watcher {
public:
    Watcher(Services& services, LibvirtConnection& libvirt, bool dry_run)
        : services_{services}, libvirt_{libvirt}, dry_run_{dry_run} {}

    Result<void> look_at_all(bool libvirt_was_restarted) {
        VFSKIT_TRY_ASSIGN(const auto domains, libvirt_.domains());
        for (const auto& domain : domains) {
            look_at(domain);
            if (libvirt_was_restarted && domain.is_running) {
                warn_if_stuck(domain);
            }
        }
        return {};
    }

    /// A failure is told and does not end the watch: the next domain is another matter.
    void look_at(const DomainState& domain) {
        if (!domain.is_persistent) {
            return;
        }
        if (const auto mended = mend(domain); !mended) {
            tell("failed", domain.name, mended.error().describe());
        }
    }

    void handle(const DomainEvent& event) {
        if (event.kind != DomainEventKind::defined &&
            event.kind != DomainEventKind::resumed_migrated) {
            return;
        }
        // A domain that is gone by now has nothing to mend.
        if (const auto domain = libvirt_.find_domain(event.uuid)) {
            look_at(*domain);
        }
    }

private:
    Result<void> mend(const DomainState& domain) {
        VFSKIT_TRY_ASSIGN(const auto stored,
                          libvirt_.definition(domain.name, DefinitionKind::inactive));
        VFSKIT_TRY_ASSIGN(const auto store, services_.open_store());
        VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
        VFSKIT_TRY_ASSIGN(const auto wanted,
                          definition_for_node(stored, stored, snapshot, services_.node));
        if (!wanted.changed()) {
            return {};
        }
        if (!dry_run_) {
            VFSKIT_TRY(libvirt_.define(wanted.xml));
        }
        for (const auto& rewrite : wanted.rewrites) {
            tell(dry_run_ ? "would-mend" : "mended",
                 domain.name,
                 fmt::format("Its stored definition had {} {} for '{}', here it is {}",
                             rewrite.what,
                             rewrite.from,
                             rewrite.tag,
                             rewrite.to));
        }
        return {};
    }

    /// libvirt forgets across its restart that the daemons it started can be migrated.
    void warn_if_stuck(const DomainState& domain) {
        const auto running = libvirt_.definition(domain.name, DefinitionKind::live);
        if (!running) {
            return;
        }
        const auto parsed = domain::parse_domain(*running);
        if (!parsed) {
            return;
        }
        for (const auto& filesystem : parsed->filesystems) {
            if (filesystem.is_virtiofs() && !filesystem.is_external()) {
                tell("stuck",
                     domain.name,
                     fmt::format("libvirt was restarted since it started the daemon of '{0}', and "
                                 "will neither migrate nor save the guest. Detach the share and "
                                 "attach it again (vfsctl detach {1} {0} --live; vfsctl attach "
                                 "{1} {2} --live), or stop the guest and start it again",
                                 filesystem.tag,
                                 domain.name,
                                 filesystem.dirid));
            }
        }
    }

    void tell(std::string_view event, std::string_view domain, std::string_view message) {
        auto& output = services_.output;
        if (!output.is_json()) {
            const auto line = fmt::format("{}: {}", domain, message);
            event == "failed" || event == "stuck" ? output.warn(line) : output.say(line);
            services_.environment.out.flush();
            return;
        }
        auto document = make_document("watch-event");
        document["event"] = event;
        document["domain"] = to_utf8(domain);
        document["message"] = to_utf8(message);
        output.print(document.dump() + "\n");
        services_.environment.out.flush(); // a reader acts on it now
    }

    Services& services_;
    LibvirtConnection& libvirt_;
    bool dry_run_;
};

} // namespace

Verb watch_verb() {
    return make_verb<WatchOptions>(
        {.path = "watch",
         .summary = "Mend what migrations leave behind in libvirt's stored definitions",
         .description =
             "'virsh migrate --persistent' stores the definition with the paths of the node that "
             "the guest came from, and the next start there fails or serves another directory. "
             "Watches libvirt's events and stores the definition with this node's paths. After a "
             "restart of libvirt, names the running guests that libvirt will no longer migrate, "
             "with the cure. The service vfskit-watch runs it.",
         .examples = R"(
vfsctl watch
vfsctl watch --once --dry-run
systemctl enable --now vfskit-watch)"},
        bind,
        run_watch);
}

Result<ExitCode> run_watch(const WatchOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(auto libvirt, connect(services, options.connect));
    if (options.once) {
        Watcher watcher{services, *libvirt, options.dry_run};
        VFSKIT_TRY(watcher.look_at_all(false));
        return ExitCode::ok;
    }
    const auto& stop = services.environment.catch_interrupt();
    for (bool was_restarted = false; !stop; was_restarted = true) {
        Watcher watcher{services, *libvirt, options.dry_run};
        VFSKIT_TRY(watcher.look_at_all(was_restarted));
        const auto watched =
            libvirt->watch([&watcher](const DomainEvent& event) { watcher.handle(event); }, stop);
        if (!watched && watched.error().code() != ECONNRESET) {
            return Error{watched.error()};
        }
        for (libvirt.reset(); libvirt == nullptr && !stop;) {
            services.environment.pause(reconnect_pause);
            if (auto again = connect(services, options.connect)) {
                libvirt = std::move(*again);
            }
        }
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/attach.h"

#include "core/domain/domain_xml.h"
#include "core/domain/patch.h"
#include "vfsctl/cmd/daemon_start.h"
#include "vfsctl/cmd/launching.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

void bind(AttachOptions& options, OptionSet& set) {
    set.text({.name = "DOMAIN", .help = "Name or UUID of the domain", .is_required = true},
             options.domain)
        .text({.name = "MAPPING",
               .help = "The directory mapping to share",
               .completes = Completes::mapping_id,
               .is_required = true},
              options.mapping);
    bind_connect_option(options.connect, set);
    bind_scope_options(options.live, options.config, set);
    set.flag({.name = "--dry-run", .help = "Check, and change nothing"}, options.dry_run);
    bind_filesystem_options(options.filesystem, set);
    bind_share_options(options.share, set);
}

/// One share on its way into one domain.
class Attachment {
public:
    Attachment(const AttachOptions& options, Services& services, LibvirtConnection& libvirt)
        : options_{options}, services_{services}, libvirt_{libvirt} {}

    /// Everything that can be refused is refused here, before anything is changed.
    Result<void> plan() {
        VFSKIT_TRY_ASSIGN(state_, libvirt_.find_domain(options_.domain));
        VFSKIT_TRY_ASSIGN(scope_, resolve_scope(options_.live, options_.config, state_));
        VFSKIT_TRY(plan_share());
        if (scope_.live) {
            VFSKIT_TRY(plan_live());
        }
        if (scope_.config) {
            VFSKIT_TRY_ASSIGN(const auto stored,
                              libvirt_.definition(state_.name, DefinitionKind::inactive));
            VFSKIT_TRY_ASSIGN(stored_, domain::patch_domain(stored, request_, target_));
            add_notices(stored_->notices);
        }
        return {};
    }

    /// The running guest first: it is what may still fail, and what is stored stays as it was then.
    Result<void> apply() {
        if (scope_.live) {
            VFSKIT_TRY(attach_live());
        }
        if (scope_.config && stored_->changed) {
            auto defined = libvirt_.define(stored_->xml);
            if (!defined && scope_.live) {
                return std::move(defined).error().under(
                    "The running guest has the share, but its stored definition does not");
            }
            VFSKIT_TRY(std::move(defined));
        }
        return {};
    }

    void report() const {
        auto& output = services_.output;
        const auto where = scope_.live ? scope_.config ? "the running guest and the definition"
                                                       : "the running guest"
                                       : "the definition";
        if (output.is_json()) {
            auto document = make_document("attachment");
            document["domain"] = to_utf8(state_.name);
            document["mapping"] = to_utf8(share_.dirid);
            document["tag"] = to_utf8(share_.tag);
            document["live"] = scope_.live;
            document["config"] = scope_.config;
            document["dry-run"] = options_.dry_run;
            document["notices"] = to_json(notices_);
            output.print_json(document);
            return;
        }
        output.say(fmt::format("{} '{}' {} {} of '{}'; in the guest: mount -t virtiofs {} /mnt",
                               options_.dry_run ? "Would attach" : "Attached",
                               share_.tag,
                               "to",
                               where,
                               state_.name,
                               share_.tag));
        warn_about(notices_, output);
    }

private:
    Result<void> plan_share() {
        if (starts_daemon() && !is_on_this_host(libvirt_.uri())) {
            return Error{EINVAL,
                         fmt::format("vfskit starts daemons on this host, and '{}' is another",
                                     libvirt_.uri())}
                .with_remedy("Call vfsctl there, or leave out --external");
        }
        VFSKIT_TRY_ASSIGN(const auto versions, libvirt_.versions());
        TargetOptions target;
        target.libvirt = libvirt_version_of(versions);
        target.session = libvirt_.uri().find("/session") != std::string::npos;
        target_ = make_target(target, services_);
        VFSKIT_TRY_ASSIGN(const auto shares,
                          make_shares(services_, std::span{&options_.mapping, 1}, options_.share));
        share_ = shares.front();
        auto filesystem = options_.filesystem;
        filesystem.vm = filesystem.vm.value_or(state_.name);
        if (starts_daemon()) {
            // The program is ours to start; libvirt would only carry it along.
            filesystem.details.binary.reset();
            filesystem.details.daemon_is_ours = true;
        }
        VFSKIT_TRY_ASSIGN(auto plan, make_filesystem(share_, filesystem, target_));
        add_notices(plan.notices);
        domain::ShareEdit edit{share_.dirid, std::move(plan.filesystem)};
        if (starts_daemon()) {
            VFSKIT_TRY_ASSIGN(edit.options, recorded_options(options_.share));
        }
        request_.put.push_back(std::move(edit));
        return {};
    }

    Result<void> plan_live() {
        VFSKIT_TRY_ASSIGN(running_, libvirt_.definition(state_.name, DefinitionKind::live));
        VFSKIT_TRY_ASSIGN(const auto domain, domain::parse_domain(running_));
        const auto same_tag =
            std::ranges::find(domain.filesystems, share_.tag, &domain::DomainFilesystem::tag);
        if (same_tag != domain.filesystems.end()) {
            return Error{
                EEXIST,
                fmt::format("'{}' has a share with the tag '{}' already", state_.name, share_.tag)}
                .with_remedy(fmt::format("Detach it first: vfsctl detach {} {}; or change only the "
                                         "stored definition with --config",
                                         state_.name,
                                         share_.tag));
        }
        if (domain.memory.shared) {
            return {};
        }
        if (options_.live || !scope_.config) {
            return Error{EBUSY,
                         fmt::format("The memory of the running '{}' is not shared: {}",
                                     state_.name,
                                     domain.memory.reason)}
                .with_remedy("Attach with --config, then shut the guest down and start it again; a "
                             "reboot is not enough");
        }
        scope_.live = false; // the patch of the definition tells why
        return {};
    }

    [[nodiscard]] bool starts_daemon() const {
        return options_.filesystem.external && !options_.filesystem.details.socket;
    }

    Result<void> attach_live() {
        if (starts_daemon()) {
            DaemonStartOptions start;
            start.vm = state_.name;
            start.share = options_.share;
            start.mapping = options_.mapping;
            start.binary = options_.filesystem.details.binary.value_or(start.binary);
            start.replaces_waiting = true;
            VFSKIT_TRY(start_daemon(start, services_));
        }
        const auto xml = domain::filesystem_xml(request_.put.front().filesystem);
        auto attached = libvirt_.attach_device(state_.name, xml, {.live = true, .config = false});
        if (!attached) {
            if (starts_daemon()) {
                // What cannot be stopped is told by 'daemon list'; the first failure is the answer.
                static_cast<void>(stop_daemon(state_.name, share_.tag, services_));
            }
            return std::move(attached).error().with_remedy(
                "If no PCIe port is free, give the domain more pcie-root-port "
                "controllers and power-cycle it");
        }
        VFSKIT_TRY_ASSIGN(const auto with_record,
                          domain::patch_domain(running_, request_, target_));
        VFSKIT_TRY_ASSIGN(const auto record, domain::shares_record(with_record.xml));
        return libvirt_.set_metadata(state_.name,
                                     std::string{domain::metadata_namespace},
                                     record,
                                     {.live = true, .config = false});
    }

    void add_notices(const std::vector<domain::Notice>& notices) {
        for (const auto& notice : notices) {
            if (std::ranges::find(notices_, notice) == notices_.end()) {
                notices_.push_back(notice);
            }
        }
    }

    const AttachOptions& options_;
    Services& services_;
    LibvirtConnection& libvirt_;
    DomainState state_;
    ChangeScope scope_;
    domain::Target target_;
    share::Share share_;
    domain::PatchRequest request_;
    std::string running_;                       // with scope_.live
    std::optional<domain::PatchResult> stored_; // with scope_.config
    std::vector<domain::Notice> notices_;
};

} // namespace

Verb attach_verb() {
    return make_verb<AttachOptions>(
        {.path = "attach",
         .summary = "Give a libvirt domain a share",
         .description =
             "To the running guest, to the stored definition, or to both where the domain has "
             "both. "
             "libvirt starts the daemon, or with --external vfskit does: then every option of a "
             "daemon can be had, libvirt may be restarted, and the hook starts it again with the "
             "guest. A stored definition gets shared memory where it has none; a running guest "
             "cannot, and must be shut down and started again.",
         .examples = R"(
vfsctl attach web media
vfsctl attach web media --config --readonly
vfsctl attach web media --external --cache always --posix-acl always)"},
        bind,
        run_attach);
}

Result<ExitCode> run_attach(const AttachOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto libvirt, connect(services, options.connect));
    Attachment attachment{options, services, *libvirt};
    VFSKIT_TRY(attachment.plan());
    if (!options.dry_run) {
        VFSKIT_TRY(attachment.apply());
    }
    attachment.report();
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/detach.h"

#include "core/domain/domain_xml.h"
#include "core/domain/patch.h"
#include "vfsctl/cmd/launching.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

// Hot-unplug needs the guest's consent, which it gives within a second unless it hangs.
constexpr std::chrono::milliseconds patience{20000};
constexpr std::chrono::milliseconds poll{250};

void bind(DetachOptions& options, OptionSet& set) {
    set.text({.name = "DOMAIN", .help = "Name or UUID of the domain", .is_required = true},
             options.domain)
        .text({.name = "SHARE",
               .help = "Its mapping's id, or its tag",
               .completes = Completes::mapping_id,
               .is_required = true},
              options.share);
    bind_connect_option(options.connect, set);
    bind_scope_options(options.live, options.config, set);
}

/// By tag, else by dirid. Nothing when the definition has no such share; EINVAL when the dirid is
/// that of several.
Result<std::optional<domain::DomainFilesystem>> find_share(const std::string& definition,
                                                           const std::string& name) {
    VFSKIT_TRY_ASSIGN(const auto domain, domain::parse_domain(definition));
    std::optional<domain::DomainFilesystem> found;
    for (const auto& filesystem : domain.filesystems) {
        if (filesystem.tag == name) {
            return std::optional{filesystem};
        }
        if (filesystem.dirid == name) {
            if (found) {
                return Error{EINVAL, fmt::format("Several shares are of mapping '{}'", name)}
                    .with_remedy("Name one by its tag");
            }
            found = filesystem;
        }
    }
    return found;
}

std::string device_xml(const domain::DomainFilesystem& filesystem) {
    domain::VirtiofsFilesystem device;
    device.tag = filesystem.tag;
    if (filesystem.is_external()) {
        device.daemon = domain::ExternalDaemon{*filesystem.source_socket};
    } else {
        domain::ManagedDaemon daemon;
        daemon.source_dir = filesystem.source_dir.value_or("");
        device.daemon = std::move(daemon);
    }
    return domain::filesystem_xml(device);
}

Result<void> wait_until_gone(LibvirtConnection& libvirt,
                             const std::string& name,
                             const std::string& tag,
                             Services& services) {
    for (auto waited = std::chrono::milliseconds{0}; waited < patience; waited += poll) {
        VFSKIT_TRY_ASSIGN(const auto running, libvirt.definition(name, DefinitionKind::live));
        VFSKIT_TRY_ASSIGN(const auto still, find_share(running, tag));
        if (!still) {
            return {};
        }
        services.environment.pause(poll);
    }
    return Error{ETIMEDOUT, fmt::format("The guest does not let go of '{}'", tag)}.with_remedy(
        "Unmount it in the guest, and call again");
}

Result<void> write_live_record(LibvirtConnection& libvirt,
                               const std::string& name,
                               const std::string& before,
                               const std::string& tag) {
    domain::PatchRequest request;
    request.remove.push_back(tag);
    VFSKIT_TRY_ASSIGN(const auto without, domain::patch_domain(before, request, {}));
    VFSKIT_TRY_ASSIGN(const auto record, domain::shares_record(without.xml));
    return libvirt.set_metadata(
        name, std::string{domain::metadata_namespace}, record, {.live = true, .config = false});
}

/// Whether the running guest had it.
Result<bool> detach_live(const DetachOptions& options,
                         const DomainState& state,
                         LibvirtConnection& libvirt,
                         Services& services) {
    VFSKIT_TRY_ASSIGN(const auto running, libvirt.definition(state.name, DefinitionKind::live));
    VFSKIT_TRY_ASSIGN(const auto share, find_share(running, options.share));
    if (!share) {
        return false;
    }
    if (!share->is_virtiofs()) {
        return Error{ENOTSUP, "libvirt takes only virtiofs shares from a running guest"}
            .with_remedy("Use --config and power-cycle the guest");
    }
    VFSKIT_TRY(
        libvirt.detach_device(state.name, device_xml(*share), {.live = true, .config = false}));
    VFSKIT_TRY(wait_until_gone(libvirt, state.name, share->tag, services));
    if (share->dirid_from_metadata) {
        VFSKIT_TRY(write_live_record(libvirt, state.name, running, share->tag));
    }
    VFSKIT_TRY(stop_daemon(state.name, share->tag, services));
    return true;
}

/// Whether the stored definition had it.
Result<bool>
detach_config(const DetachOptions& options, const DomainState& state, LibvirtConnection& libvirt) {
    VFSKIT_TRY_ASSIGN(const auto stored, libvirt.definition(state.name, DefinitionKind::inactive));
    VFSKIT_TRY_ASSIGN(const auto share, find_share(stored, options.share));
    if (!share) {
        return false;
    }
    domain::PatchRequest request;
    request.remove.push_back(share->tag);
    VFSKIT_TRY_ASSIGN(const auto without, domain::patch_domain(stored, request, {}));
    VFSKIT_TRY(libvirt.define(without.xml));
    return true;
}

} // namespace

Verb detach_verb() {
    return make_verb<DetachOptions>(
        {.path = "detach",
         .summary = "Take a share from a libvirt domain",
         .description = "From the running guest, from the stored definition, or from both where "
                        "the domain has both. Returns when the guest has let go of it. A daemon "
                        "that vfskit started for it is stopped.",
         .examples = R"(
vfsctl detach web media
vfsctl detach web media --live)"},
        bind,
        run_detach);
}

Result<ExitCode> run_detach(const DetachOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto libvirt, connect(services, options.connect));
    VFSKIT_TRY_ASSIGN(const auto state, libvirt->find_domain(options.domain));
    VFSKIT_TRY_ASSIGN(const auto scope, resolve_scope(options.live, options.config, state));
    bool from_guest = false;
    bool from_definition = false;
    if (scope.live) {
        VFSKIT_TRY_ASSIGN(from_guest, detach_live(options, state, *libvirt, services));
    }
    if (scope.config) {
        VFSKIT_TRY_ASSIGN(from_definition, detach_config(options, state, *libvirt));
    }
    if (!from_guest && !from_definition) {
        return Error{ENOENT, fmt::format("'{}' has no share '{}'", state.name, options.share)}
            .with_remedy("See 'virsh dumpxml' for those it has");
    }
    if (services.output.is_json()) {
        auto document = make_document("detachment");
        document["domain"] = to_utf8(state.name);
        document["share"] = to_utf8(options.share);
        document["live"] = from_guest;
        document["config"] = from_definition;
        services.output.print_json(document);
    } else {
        services.output.say(fmt::format("Detached '{}' from {} of '{}'",
                                        options.share,
                                        from_guest ? from_definition ? "the running guest and the "
                                                                       "definition"
                                                                     : "the running guest"
                                                   : "the definition",
                                        state.name));
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

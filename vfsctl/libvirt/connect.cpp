// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/connect.h"

#include "core/domain/domain_xml.h"
#include "core/domain/node_lookup.h"

#include <fmt/format.h>

#include <cerrno>
#include <set>

namespace vfskit::vfsctl {

namespace {

/// Tags of the shares whose daemon the administrator has chosen.
std::set<std::string> tags_with_binary(const domain::Domain& domain) {
    std::set<std::string> tags;
    for (const auto& filesystem : domain.filesystems) {
        if (filesystem.binary_path) {
            tags.insert(filesystem.tag);
        }
    }
    return tags;
}

} // namespace

void bind_connect_option(std::optional<std::string>& uri, OptionSet& set) {
    set.text({.name = "--connect",
              .value = "URI",
              .help = "The libvirt to talk to. Default: LIBVIRT_DEFAULT_URI, then qemu:///system",
              .short_name = "-c"},
             uri);
}

Result<std::unique_ptr<LibvirtConnection>> connect(Services& services,
                                                   const std::optional<std::string>& uri) {
    auto wanted = uri.value_or(services.environment.variable("LIBVIRT_DEFAULT_URI"));
    return services.environment.connect_libvirt(wanted.empty() ? "qemu:///system" : wanted);
}

bool is_on_this_host(std::string_view uri) {
    return uri.starts_with("qemu:///") || uri.starts_with("qemu+unix:///");
}

void bind_scope_options(bool& live, bool& config, OptionSet& set) {
    set.flag({.name = "--live", .help = "Only the running guest. Default: whatever there is"}, live)
        .flag({.name = "--config", .help = "Only the stored definition; with --live, both"},
              config);
}

Result<ChangeScope> resolve_scope(bool live, bool config, const DomainState& state) {
    if (live && !state.is_running) {
        return Error{EINVAL, fmt::format("'{}' does not run", state.name)}.with_remedy(
            "Leave out --live");
    }
    if (config && !state.is_persistent) {
        return Error{EINVAL, fmt::format("'{}' is transient: nothing is stored", state.name)}
            .with_remedy("Leave out --config");
    }
    if (!live && !config) {
        return ChangeScope{.live = state.is_running, .config = state.is_persistent};
    }
    return ChangeScope{.live = live, .config = config};
}

domain::LibvirtVersion libvirt_version_of(const HypervisorVersions& versions) {
    constexpr std::uint64_t thousand = 1000;
    const auto number = versions.libvirt;
    return {static_cast<unsigned>(number / (thousand * thousand)),
            static_cast<unsigned>(number / thousand % thousand),
            static_cast<unsigned>(number % thousand)};
}

Result<domain::RewriteResult> definition_for_node(const std::string& definition,
                                                  const std::string& stored,
                                                  const store::Snapshot& snapshot,
                                                  const std::string& node) {
    VFSKIT_TRY_ASSIGN(const auto parsed, domain::parse_domain(stored));
    const auto chosen = tags_with_binary(parsed);
    const auto lookup =
        domain::lookup_by_mapping([&snapshot](std::string_view id) { return snapshot.find(id); },
                                  {.node = node, .binary = domain::KeepBinary{}, .socket = {}});
    return domain::rewrite_for_node(definition,
                                    [&](const domain::DomainFilesystem& filesystem)
                                        -> Result<std::optional<domain::NodeShare>> {
                                        VFSKIT_TRY_ASSIGN(auto there, lookup(filesystem));
                                        if (there && filesystem.is_virtiofs() &&
                                            !chosen.contains(filesystem.tag)) {
                                            there->binary = domain::DropBinary{};
                                        }
                                        return there;
                                    });
}

} // namespace vfskit::vfsctl

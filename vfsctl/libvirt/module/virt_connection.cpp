// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/module/virt_connection.h"

#include "core/base/text.h"
#include "vfsctl/libvirt/module/event_loop.h"
#include "vfsctl/libvirt/module/virt_error.h"

#include <fmt/format.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

namespace vfskit::vfsctl {

namespace {

// A peer that does not answer for this long is gone: 5 probes, 3 seconds apart.
constexpr int keepalive_seconds = 3;
constexpr unsigned int keepalive_probes = 5;

DomainState state_of(virDomainPtr domain) {
    DomainState state;
    state.name = ::virDomainGetName(domain);
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    ::virDomainGetUUIDString(domain, uuid.data());
    state.uuid = uuid.data();
    int running = 0;
    int reason = 0;
    if (::virDomainGetState(domain, &running, &reason, 0) == 0) {
        state.is_running = running != VIR_DOMAIN_SHUTOFF && running != VIR_DOMAIN_CRASHED;
        state.is_paused = running == VIR_DOMAIN_PAUSED;
    }
    state.is_persistent = ::virDomainIsPersistent(domain) == 1;
    state.has_snapshots = ::virDomainSnapshotNum(domain, 0) > 0;
    return state;
}

unsigned int device_flags(ChangeScope scope) {
    return (scope.live ? unsigned{VIR_DOMAIN_AFFECT_LIVE} : 0U) |
           (scope.config ? unsigned{VIR_DOMAIN_AFFECT_CONFIG} : 0U);
}

unsigned int definition_flags(DefinitionKind kind) {
    switch (kind) {
    case DefinitionKind::live:
        return VIR_DOMAIN_XML_SECURE;
    case DefinitionKind::inactive:
        return VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE;
    case DefinitionKind::migratable:
        return VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE;
    }
    return 0;
}

} // namespace

Result<std::unique_ptr<LibvirtConnection>> VirtConnection::open(const std::string& uri) {
    ::virInitialize();
    // Without a handler libvirt prints every error itself.
    ::virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    EventLoop::instance();
    VirConnect connect{::virConnectOpen(uri.c_str())};
    if (!connect) {
        return last_virt_error(fmt::format("Cannot connect to '{}'", uri))
            .with_remedy("Is its libvirtd or virtqemud running, and may you use it?");
    }
    // Transports without keepalive (test:///) refuse, which is no failure.
    ::virConnectSetKeepAlive(connect.get(), keepalive_seconds, keepalive_probes);
    return std::unique_ptr<LibvirtConnection>{
        std::make_unique<VirtConnection>(uri, std::move(connect))};
}

Result<HypervisorVersions> VirtConnection::versions() {
    HypervisorVersions versions;
    unsigned long libvirt = 0;
    unsigned long qemu = 0;
    if (::virConnectGetLibVersion(connect_.get(), &libvirt) != 0 ||
        ::virConnectGetVersion(connect_.get(), &qemu) != 0) {
        return last_virt_error(fmt::format("Cannot ask '{}' for its versions", uri_));
    }
    const VirText hostname{::virConnectGetHostname(connect_.get())};
    versions.hostname = hostname ? hostname.get() : "";
    versions.libvirt = libvirt;
    versions.qemu = qemu;
    return versions;
}

Result<std::vector<DomainState>> VirtConnection::domains() {
    virDomainPtr* list = nullptr;
    const int count = ::virConnectListAllDomains(connect_.get(), &list, 0);
    if (count < 0) {
        return last_virt_error(fmt::format("Cannot list the domains of '{}'", uri_));
    }
    std::vector<DomainState> states;
    for (int i = 0; i < count; ++i) {
        const VirDomain domain{list[i]};
        states.push_back(state_of(domain.get()));
    }
    std::free(list);
    std::ranges::sort(states, {}, &DomainState::name);
    return states;
}

Result<VirDomain> VirtConnection::lookup(const std::string& domain) {
    VirDomain found{::virDomainLookupByName(connect_.get(), domain.c_str())};
    if (!found) {
        found.reset(::virDomainLookupByUUIDString(connect_.get(), domain.c_str()));
    }
    if (found) {
        return found;
    }
    Error missing{ENOENT, fmt::format("There is no domain '{}' at '{}'", domain, uri_)};
    const auto all = domains();
    if (!all) {
        return missing;
    }
    std::vector<std::string_view> names;
    std::ranges::transform(*all, std::back_inserter(names), &DomainState::name);
    const auto near = base::nearest(domain, names);
    return std::move(missing).with_remedy(near ? fmt::format("Did you mean '{}'?", *near)
                                               : "See 'virsh list --all' for those there are");
}

Result<DomainState> VirtConnection::find_domain(const std::string& domain) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    return state_of(found.get());
}

Result<std::string> VirtConnection::definition(const std::string& domain, DefinitionKind kind) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    const VirText xml{::virDomainGetXMLDesc(found.get(), definition_flags(kind))};
    if (!xml) {
        return last_virt_error(fmt::format("Cannot read the definition of '{}'", domain));
    }
    return std::string{xml.get()};
}

Result<void> VirtConnection::define(const std::string& xml) {
    const VirDomain defined{
        ::virDomainDefineXMLFlags(connect_.get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE)};
    if (!defined) {
        return last_virt_error("Cannot store the definition");
    }
    return {};
}

Result<void> VirtConnection::set_metadata(const std::string& domain,
                                          const std::string& namespace_uri,
                                          const std::string& xml,
                                          ChangeScope scope) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    const char* content = xml.empty() ? nullptr : xml.c_str();
    const int failed = ::virDomainSetMetadata(found.get(),
                                              VIR_DOMAIN_METADATA_ELEMENT,
                                              content,
                                              "vfskit",
                                              namespace_uri.c_str(),
                                              device_flags(scope));
    const auto* last = ::virGetLastError();
    const bool was_absent =
        failed != 0 && xml.empty() && last != nullptr && last->code == VIR_ERR_NO_DOMAIN_METADATA;
    if (failed != 0 && !was_absent) {
        return last_virt_error(fmt::format("Cannot write the metadata of '{}'", domain));
    }
    return {};
}

Result<void> VirtConnection::attach_device(const std::string& domain,
                                           const std::string& xml,
                                           ChangeScope scope) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    if (::virDomainAttachDeviceFlags(found.get(), xml.c_str(), device_flags(scope)) != 0) {
        return last_virt_error(fmt::format("Cannot attach the share to '{}'", domain));
    }
    return {};
}

Result<void> VirtConnection::detach_device(const std::string& domain,
                                           const std::string& xml,
                                           ChangeScope scope) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    if (::virDomainDetachDeviceFlags(found.get(), xml.c_str(), device_flags(scope)) != 0) {
        return last_virt_error(fmt::format("Cannot detach the share from '{}'", domain));
    }
    return {};
}

Result<std::string> VirtConnection::monitor(const std::string& domain, const std::string& command) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    char* raw = nullptr;
    const auto line = fmt::format(R"({{"execute":"{}"}})", command);
    if (::virDomainQemuMonitorCommand(found.get(), line.c_str(), &raw, 0) != 0) {
        return last_virt_error(fmt::format("Cannot ask the QEMU of '{}' ({})", domain, command));
    }
    const VirText text{raw};
    return std::string{text.get()};
}

Result<std::vector<std::string>> VirtConnection::migration_blockers(const std::string& domain) {
    VFSKIT_TRY_ASSIGN(const auto answer, monitor(domain, "query-migrate"));
    const auto json = nlohmann::json::parse(answer, nullptr, false);
    std::vector<std::string> reasons;
    if (const auto at = nlohmann::json::json_pointer{"/return/blocked-reasons"};
        json.contains(at) && json[at].is_array()) {
        for (const auto& reason : json[at]) {
            if (reason.is_string()) {
                reasons.push_back(reason.get<std::string>());
            }
        }
    }
    return reasons;
}

Result<std::vector<std::string>> VirtConnection::dead_daemons(const std::string& domain) {
    VFSKIT_TRY_ASSIGN(const auto answer, monitor(domain, "query-chardev"));
    const auto json = nlohmann::json::parse(answer, nullptr, false);
    std::vector<std::string> dead;
    if (!json.is_object() || !json.contains("return") || !json["return"].is_array()) {
        return dead;
    }
    for (const auto& chardev : json["return"]) {
        const auto label = chardev.value("label", std::string{});
        // libvirt names the chardevs of vhost-user filesystems after the device's alias.
        if (label.starts_with("chr-vu-") &&
            chardev.value("filename", std::string{}).starts_with("disconnected:")) {
            dead.push_back(label);
        }
    }
    return dead;
}

} // namespace vfskit::vfsctl

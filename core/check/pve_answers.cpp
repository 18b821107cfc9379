// SPDX-License-Identifier: Apache-2.0
#include "core/check/pve_answers.h"

#include "core/base/text.h"
#include "core/check/pve_formats.h"
#include "core/store/vm_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::check {
namespace {

/// Perl's truth of a defined value.
bool is_true(const PveValues& values, std::string_view key) {
    const auto found = values.find(key);
    return found != values.end() && !found->second.empty() && found->second != "0";
}

class Answerer {
public:
    Answerer(const PveValues& values, bool has_state, const PveCluster& cluster)
        : values_{values}, has_state_{has_state}, cluster_{cluster} {
        for (const auto& node : cluster.nodes) {
            answer_.missing_mappings_by_node[node];
        }
    }

    Result<PveAnswer> run() && {
        if (has_state_) {
            for (const char* key : {"amd-sev", "intel-tdx"}) {
                if (is_true(values_, key)) {
                    answer_.non_migratable.emplace_back(key);
                }
            }
        }
        answer_.local_resources = answer_.non_migratable;
        for (const char* key : {"hostusb", "hostpci", "ivshmem"}) {
            if (is_true(values_, key)) {
                answer_.local_resources.emplace_back(key);
            }
        }
        for (const auto& [key, value] : values_) {
            VFSKIT_TRY_ASSIGN(const bool is_local, judge(key, value));
            if (is_local) {
                answer_.local_resources.push_back(key);
            }
        }
        return std::move(answer_);
    }

private:
    Result<bool> judge(const std::string& key, const std::string& value) {
        if (pve_index(key, "usb")) {
            return judge_usb(key, value);
        }
        if (pve_index(key, "hostpci")) {
            return judge_pci(key, value);
        }
        if (pve_index(key, "virtiofs")) {
            return judge_virtiofs(key, value);
        }
        if (pve_index(key, "serial")) {
            return value != "socket"; // made anew on the target
        }
        return pve_index(key, "parallel").has_value();
    }

    Result<bool> judge_usb(const std::string& key, const std::string& value) {
        VFSKIT_TRY_ASSIGN(const auto properties, parse_pve_properties(value, "host"));
        if (const auto host = properties.find("host");
            host != properties.end() && base::to_lower(host->second) == "spice") {
            return false;
        }
        if (const auto id = properties.find("mapping"); id != properties.end()) {
            VFSKIT_TRY(map(cluster_.usb, key, id->second));
        }
        return true;
    }

    Result<bool> judge_pci(const std::string& key, const std::string& value) {
        VFSKIT_TRY_ASSIGN(const auto properties, parse_pve_properties(value, "host"));
        const auto id = properties.find("mapping");
        if (id == properties.end()) {
            return true;
        }
        VFSKIT_TRY(map(cluster_.pci, key, id->second));
        if (cluster_.pci.find(id->second)->second.has_live_migration) {
            answer_.mapped_resources[key].has_live_migration = true;
            return false;
        }
        return has_state_; // a mapped device does not keep a stopped VM
    }

    Result<bool> judge_virtiofs(const std::string& key, const std::string& value) {
        VFSKIT_TRY_ASSIGN(const auto device, store::parse_virtiofs_device(0, value));
        VFSKIT_TRY(map(cluster_.dir, key, device.dirid));
        if (cluster_.dir.find(device.dirid)->second.has_live_migration) {
            answer_.mapped_resources[key].has_live_migration = true;
            return false;
        }
        return true;
    }

    Result<void> map(const PveMappings& mappings, const std::string& key, const std::string& id) {
        const auto mapping = mappings.find(id);
        if (mapping == mappings.end()) {
            return Error{ENOENT,
                         fmt::format("{}: mapping '{}' is not defined, and Proxmox VE ends with "
                                     "\"Can't use an undefined value as an ARRAY reference\"",
                                     key,
                                     id)}
                .with_remedy("Define the mapping, or take the device out of the VM");
        }
        for (const auto& node : cluster_.nodes) {
            if (!mapping->second.nodes.contains(node)) {
                answer_.missing_mappings_by_node[node].push_back(key);
            }
        }
        answer_.mapped_resources[key].name = id;
        return {};
    }

    const PveValues& values_;
    bool has_state_;
    const PveCluster& cluster_;
    PveAnswer answer_;
};

} // namespace

std::optional<std::string> PveAnswer::refusal() const {
    if (non_migratable.empty()) {
        return std::nullopt;
    }
    return fmt::format("Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: {}",
                       fmt::join(non_migratable, ", "));
}

Result<PveAnswer>
answer_as_pve(const PveValues& values, bool has_state, const PveCluster& cluster) {
    return Answerer{values, has_state, cluster}.run();
}

} // namespace vfskit::check

// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_resources.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/mapping/mapping.h"
#include "core/store/section_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace vfskit::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file_bytes = 1U << 20U; // of pmxcfs

/// The node of "id=8086:1521,node=n1,path=0000:01:00.0"; nothing for a broken line.
std::optional<std::string_view> node_of(std::string_view map) {
    for (const auto part : base::split(map, ',')) {
        if (part.starts_with("node=")) {
            return part.substr(part.find('=') + 1);
        }
    }
    return std::nullopt;
}

} // namespace

std::vector<MappedDevice> parse_mapped_devices(std::string_view content) {
    const auto file = parse_sections(content, [](std::string_view word) {
        return mapping::validate_dirid(word, mapping::Rules::pve);
    });
    std::vector<MappedDevice> devices;
    for (const auto& section : file.sections) {
        if (!section.problem.empty()) {
            continue;
        }
        MappedDevice device;
        device.id = section.id;
        bool is_capable_known = false;
        for (const auto& property : section.properties) {
            if (property.key == "map") {
                if (const auto node = node_of(property.value.value_or(""))) {
                    device.nodes.emplace_back(*node);
                }
            } else if (property.key == "live-migration-capable" && !is_capable_known) {
                // A boolean here is 0 or 1, or no value at all; the first that is one counts.
                const auto value = property.value.value_or("1");
                is_capable_known = value == "0" || value == "1";
                device.is_live_migration_capable = value == "1";
            }
        }
        // Of a section that stands twice the last one counts.
        std::erase_if(devices,
                      [&device](const MappedDevice& earlier) { return earlier.id == device.id; });
        devices.push_back(std::move(device));
    }
    // Without a "map" line a section is none: Proxmox VE has nothing under its id then.
    std::erase_if(devices, [](const MappedDevice& device) { return device.nodes.empty(); });
    return devices;
}

Result<std::vector<MappedDevice>> read_mapped_devices(const std::string& root,
                                                      std::string_view kind) {
    const auto content =
        base::read_file(fmt::format("{}/mapping/{}.cfg", root, kind), max_file_bytes);
    if (!content) {
        return content.error().code() == ENOENT
                   ? Result<std::vector<MappedDevice>>{std::vector<MappedDevice>{}}
                   : content.error();
    }
    return parse_mapped_devices(*content);
}

Result<std::vector<std::string>> read_pve_nodes(const std::string& root) {
    std::vector<std::string> nodes;
    if (const auto content = base::read_file(root + "/.members", max_file_bytes)) {
        const auto json = nlohmann::json::parse(*content, nullptr, false);
        if (json.is_object() && json.contains("nodelist") && json["nodelist"].is_object()) {
            for (const auto& entry : json["nodelist"].items()) {
                nodes.push_back(entry.key());
            }
        } else if (json.is_object() && json.contains("nodename") && json["nodename"].is_string()) {
            nodes.push_back(json["nodename"].get<std::string>());
        }
    } else if (content.error().code() != ENOENT) {
        return content.error();
    }
    if (nodes.empty()) {
        std::error_code error;
        for (fs::directory_iterator node{root + "/nodes", error}, end; !error && node != end;
             node.increment(error)) {
            nodes.push_back(node->path().filename());
        }
    }
    std::ranges::sort(nodes);
    return nodes;
}

} // namespace vfskit::store

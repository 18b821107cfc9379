// SPDX-License-Identifier: Apache-2.0
#include "core/check/pve_formats.h"

#include "core/base/text.h"
#include "core/mapping/mapping.h"
#include "core/store/section_config.h"
#include "core/store/vm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <regex>
#include <string>
#include <vector>

namespace vfskit::check {
namespace {

/// What a property may hold.
struct Property {
    enum class Kind { boolean, integer, text, id };
    std::string_view key;
    Kind kind = Kind::text;
    const char* pattern = ".+";
    std::uint64_t minimum = 0;
    bool is_required = false;
};

/// A key or a family of keys whose value is a property string.
struct Format {
    std::string_view name;
    unsigned count = 0;               ///< of a family; 0: one key without a number
    std::vector<Property> properties; ///< the first is the default key
};

constexpr const char* usb_pattern =
    R"((0x)?[0-9A-Fa-f]{4}:(0x)?[0-9A-Fa-f]{4}|\d+-\d+(\.\d+)*|[Ss][Pp][Ii][Cc][Ee])";
constexpr const char* pci_pattern =
    R"(([a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(\.[a-f0-9])?(;([a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(\.[a-f0-9])?)*)";
constexpr const char* hex_pattern = "0x[0-9a-fA-F]{4}";

const std::vector<Format>& formats() {
    using enum Property::Kind;
    // intel-tdx: qemu-server 9.2 declares attestation without "optional", so it is required.
    static const std::vector<Format> all{
        {"usb", 14, {{"host", text, usb_pattern}, {"mapping", id}, {"usb3", boolean}}},
        {"hostpci",
         16,
         {{"host", text, pci_pattern},
          {"mapping", id},
          {"rombar", boolean},
          {"romfile", text, "[^,;]+"},
          {"pcie", boolean},
          {"x-vga", boolean},
          {"legacy-igd", boolean},
          {"mdev", text, R"([^/\.:]+)"},
          {"vendor-id", text, hex_pattern},
          {"device-id", text, hex_pattern},
          {"sub-vendor-id", text, hex_pattern},
          {"sub-device-id", text, hex_pattern},
          {"driver", text, "vfio|keep"}}},
        {"amd-sev",
         0,
         {{"type", text, "std|es|snp", 0, true},
          {"no-debug", boolean},
          {"no-key-sharing", boolean},
          {"allow-smt", boolean},
          {"kernel-hashes", boolean}}},
        {"intel-tdx",
         0,
         {{"type", text, "tdx", 0, true},
          {"attestation", boolean, ".+", 0, true},
          {"vsock-cid", integer, ".+", 2},
          {"vsock-port", integer}}},
        {"ivshmem", 0, {{"size", integer, ".+", 1, true}, {"name", text, R"([a-zA-Z0-9\-]+)"}}},
    };
    return all;
}

bool is_boolean(std::string_view text) {
    static constexpr std::array<std::string_view, 8> words{
        "1", "on", "yes", "true", "0", "off", "no", "false"};
    return std::ranges::find(words, base::to_lower(text)) != words.end();
}

bool fits(const Property& property, const std::string& text) {
    switch (property.kind) {
    case Property::Kind::boolean:
        return is_boolean(text);
    case Property::Kind::integer: {
        const auto number = base::parse_unsigned(text, property.key);
        return number && *number >= property.minimum;
    }
    case Property::Kind::text:
        return std::regex_match(text, std::regex{property.pattern});
    case Property::Kind::id:
        return mapping::validate_dirid(text, mapping::Rules::pve).has_value();
    }
    return false;
}

bool is_valid(const Format& format, const std::string& value) {
    // A value that no default key takes needs one in front.
    const bool has_default = format.name != "ivshmem";
    if (!has_default && value.find('=') == std::string::npos) {
        return false;
    }
    const auto given = parse_pve_properties(value, format.properties.front().key);
    if (!given) {
        return false;
    }
    const auto is_known = [&format](const auto& entry) {
        const auto known =
            std::ranges::find(format.properties, std::string_view{entry.first}, &Property::key);
        return known != format.properties.end() && fits(*known, entry.second);
    };
    const auto is_there = [&given](const Property& property) {
        return !property.is_required || given->contains(property.key);
    };
    return std::ranges::all_of(*given, is_known) &&
           std::ranges::all_of(format.properties, is_there);
}

/// True if the line is kept.
bool is_kept(const std::string& key, const std::string& value) {
    for (const auto& format : formats()) {
        if (format.count == 0 && key == format.name) {
            return is_valid(format, value);
        }
        if (const auto index = pve_index(key, format.name); index && format.count != 0) {
            return *index < format.count && is_valid(format, value);
        }
    }
    if (const auto index = pve_index(key, "virtiofs")) {
        return *index < 10 && store::parse_virtiofs_device(0, value).has_value();
    }
    // Their patterns are only checked where a value is set, not where the file is read.
    if (const auto index = pve_index(key, "serial")) {
        return *index < 4;
    }
    if (const auto index = pve_index(key, "parallel")) {
        return *index < 3;
    }
    // Keys of the old syntax are no settings any more.
    return key != "hostusb" && key != "hostpci";
}

} // namespace

/// The properties of "[default=]value,key=value"; EINVAL where Proxmox VE's parser dies.
Result<PveValues> parse_pve_properties(std::string_view value, std::string_view default_key) {
    PveValues properties;
    for (const auto part : base::split(value, ',')) {
        if (store::trim_perl_space(part).empty()) {
            continue;
        }
        const auto equals = part.find('=');
        if (equals != std::string_view::npos && (equals == 0 || equals + 1 == part.size())) {
            return Error{EINVAL, "missing key in comma-separated list property"};
        }
        const auto key = equals == std::string_view::npos ? default_key : part.substr(0, equals);
        const auto text = equals == std::string_view::npos ? part : part.substr(equals + 1);
        if (!properties.emplace(key, text).second) {
            return Error{EINVAL,
                         fmt::format("duplicate key in comma-separated list property: {}", key)};
        }
    }
    return properties;
}

/// "usb3" is index 3 of "usb"; nothing for other keys.
std::optional<unsigned> pve_index(std::string_view key, std::string_view prefix) {
    if (!key.starts_with(prefix)) {
        return std::nullopt;
    }
    const auto number = base::parse_unsigned(key.substr(prefix.size()), "index", 99);
    return number ? std::optional{static_cast<unsigned>(*number)} : std::nullopt;
}

PveValues as_pve_reads(std::span<const std::pair<std::string, std::string>> lines) {
    PveValues result;
    for (const auto& [key, value] : lines) {
        if (is_kept(key, value)) {
            result.insert_or_assign(key, value);
        }
    }
    return result;
}

} // namespace vfskit::check

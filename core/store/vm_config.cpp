// SPDX-License-Identifier: Apache-2.0
#include "core/store/vm_config.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/mapping/mapping.h"
#include "core/store/section_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>

namespace vfskit::store {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_config_bytes = 1U << 20U; // of pmxcfs
constexpr std::string_view device_key = "virtiofs";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return to_lower(x) == to_lower(y);
    });
}

std::optional<bool> parse_boolean(std::string_view word) {
    static constexpr std::array yes{"1", "on", "yes", "true"};
    static constexpr std::array no{"0", "off", "no", "false"};
    const auto is_word = [&](const char* known) { return equal_ignoring_case(word, known); };
    if (std::any_of(yes.begin(), yes.end(), is_word)) {
        return true;
    }
    if (std::any_of(no.begin(), no.end(), is_word)) {
        return false;
    }
    return std::nullopt;
}

/// Collects the parts of one virtiofsN value; each key at most once.
class DeviceParser {
public:
    Result<void> add(std::string_view part) {
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) {
            return set("dirid", part);
        }
        if (equals == 0 || equals + 1 == part.size()) {
            return Error{EINVAL, "missing key in comma-separated list property"};
        }
        return set(part.substr(0, equals), part.substr(equals + 1));
    }

    Result<VirtiofsDevice> finish() && {
        if (device_.dirid.empty()) {
            return Error{EINVAL, "dirid: property is missing and it is not optional"};
        }
        return std::move(device_);
    }

private:
    Result<void> set(std::string_view key, std::string_view value) {
        if (std::find(seen_.begin(), seen_.end(), key) != seen_.end()) {
            return Error{EINVAL,
                         fmt::format("duplicate key in comma-separated list property: {}", key)};
        }
        seen_.push_back(key);
        if (key == "dirid") {
            VFSKIT_TRY(mapping::validate_dirid(value, mapping::Rules::pve));
            device_.dirid = std::string{value};
            return {};
        }
        if (key == "cache") {
            return set_cache(value);
        }
        if (key == "direct-io") {
            return set_boolean(device_.direct_io, key, value);
        }
        if (key == "expose-acl") {
            return set_boolean(device_.expose_acl, key, value);
        }
        if (key == "expose-xattr") {
            return set_boolean(device_.expose_xattr, key, value);
        }
        return Error{EINVAL, fmt::format("invalid key in comma-separated list property: {}", key)};
    }

    Result<void> set_cache(std::string_view value) {
        static constexpr std::array known{"auto", "always", "metadata", "never"};
        if (std::find(known.begin(), known.end(), value) == known.end()) {
            return Error{
                EINVAL, fmt::format("cache: '{}' is none of auto, always, metadata, never", value)};
        }
        device_.cache = std::string{value};
        return {};
    }

    static Result<void> set_boolean(bool& target, std::string_view key, std::string_view value) {
        const auto parsed = parse_boolean(value);
        if (!parsed) {
            return Error{EINVAL, fmt::format("{}: '{}' is no boolean", key, value)};
        }
        target = *parsed;
        return {};
    }

    VirtiofsDevice device_;
    std::vector<std::string_view> seen_;
};

/// "[word]" with only blanks behind it.
std::optional<std::string_view> section_word(std::string_view line) {
    if (line.empty() || line.front() != '[') {
        return std::nullopt;
    }
    const auto end = line.find(']');
    if (end == std::string_view::npos || !trim_perl_space(line.substr(end + 1)).empty()) {
        return std::nullopt;
    }
    return line.substr(1, end - 1);
}

struct KeyValue {
    std::string_view key;
    std::string_view value;
};

// ^([a-z][a-z_\-]*\d*):\s*(.+?)\s*$
std::optional<KeyValue> key_value(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line[0] < 'a' || line[0] > 'z') {
        return std::nullopt;
    }
    auto stem = line.substr(0, colon);
    while (!stem.empty() && is_digit(stem.back())) {
        stem.remove_suffix(1);
    }
    const bool is_key = std::all_of(stem.begin(), stem.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_' || c == '-';
    });
    const auto value = trim_perl_space(line.substr(colon + 1));
    if (!is_key || value.empty()) {
        return std::nullopt;
    }
    return KeyValue{line.substr(0, colon), value};
}

/// The N of "virtiofsN", at most one digit; nothing for another key.
std::optional<int> device_index(std::string_view key) {
    if (key.size() != device_key.size() + 1 || !key.starts_with(device_key) ||
        !is_digit(key.back())) {
        return std::nullopt;
    }
    return key.back() - '0';
}

void put_device(std::vector<VirtiofsDevice>& devices, VirtiofsDevice device) {
    const auto at = std::lower_bound(
        devices.begin(), devices.end(), device.index, [](const VirtiofsDevice& d, int index) {
            return d.index < index;
        });
    if (at != devices.end() && at->index == device.index) {
        *at = std::move(device);
    } else {
        devices.insert(at, std::move(device));
    }
}

class ConfigParser {
public:
    VmConfig parse(std::string_view content) && {
        config_.pending.name = "PENDING";
        section_ = &config_.current;
        for (const auto line : base::split(content, '\n')) {
            ++line_;
            if (!trim_perl_space(line).empty()) {
                add(line);
            }
        }
        return std::move(config_);
    }

private:
    void add(std::string_view line) {
        if (const auto word = section_word(line)) {
            open(*word);
            return;
        }
        if (section_ == nullptr || line.front() == '#') {
            return;
        }
        if (const auto pair = key_value(line)) {
            use(*pair);
        }
    }

    void open(std::string_view word) {
        if (equal_ignoring_case(word, "pending")) {
            if (has_pending_) {
                note("Section '[PENDING]' stands twice; the last one counts");
            }
            has_pending_ = true;
            config_.pending = VmSection{};
            config_.pending.name = "PENDING";
            section_ = &config_.pending;
        } else if (mapping::validate_dirid(word, mapping::Rules::pve)) {
            open_snapshot(word);
        } else {
            section_ = nullptr;
            if (!equal_ignoring_case(word, "special:cloudinit") &&
                !equal_ignoring_case(word, "special:fleecing")) {
                note(fmt::format("Proxmox VE skips the unknown section '[{}]'", word));
            }
        }
    }

    void open_snapshot(std::string_view name) {
        auto& snapshots = config_.snapshots;
        const auto old = std::find_if(
            snapshots.begin(), snapshots.end(), [&](const auto& s) { return s.name == name; });
        if (old != snapshots.end()) {
            note(fmt::format("Snapshot '{}' stands twice; the last one counts", name));
            snapshots.erase(old);
        }
        snapshots.emplace_back().name = std::string{name};
        section_ = &snapshots.back();
    }

    void use(const KeyValue& pair) {
        section_->values.emplace_back(pair.key, pair.value);
        if (pair.key.starts_with(device_key)) {
            use_device(pair);
        } else if (pair.key == "delete") {
            use_delete(pair.value);
        } else if (pair.key == "lock") {
            section_->lock = std::string{pair.value};
        } else if (pair.key == "ostype") {
            section_->ostype = std::string{pair.value};
        } else if (pair.key == "vmstate") {
            section_->vmstate = std::string{pair.value};
        } else if (pair.key == "parent") {
            section_->parent = std::string{pair.value};
        } else if (pair.key == "template") {
            section_->is_template = parse_boolean(pair.value).value_or(section_->is_template);
        }
    }

    void use_device(const KeyValue& pair) {
        const auto index = device_index(pair.key);
        if (!index) {
            note(fmt::format("Proxmox VE drops '{}': the keys are virtiofs0 to virtiofs9",
                             pair.key));
            return;
        }
        auto device = parse_virtiofs_device(*index, pair.value);
        if (!device) {
            note(fmt::format("Proxmox VE drops '{}': {}", pair.key, device.error().message()));
            return;
        }
        device->line = line_;
        put_device(section_->devices, std::move(*device));
    }

    void use_delete(std::string_view value) {
        if (section_ != &config_.pending) {
            note("'delete' is only allowed in [PENDING]");
            return;
        }
        std::string words{value};
        std::replace_if(
            words.begin(),
            words.end(),
            [](char c) { return c == ',' || c == ';' || is_perl_space(c); },
            ' ');
        section_->deleted.clear();
        for (auto word : base::split(words, ' ')) {
            if (word.starts_with('!')) { // "forced"
                word.remove_prefix(1);
            }
            if (const auto index = device_index(word)) {
                section_->deleted.push_back(*index);
            }
        }
    }

    void note(std::string message) {
        config_.notices.push_back(VmConfigNotice{line_, std::move(message)});
    }

    VmConfig config_;
    VmSection* section_ = nullptr;
    std::size_t line_ = 0;
    bool has_pending_ = false;
};

std::optional<int> vmid_of(const fs::path& file) {
    constexpr std::uint64_t max_vmid = 999'999'999;
    if (file.extension() != ".conf") {
        return std::nullopt;
    }
    const auto number = base::parse_unsigned(file.stem().native(), "VMID", max_vmid);
    if (!number) {
        return std::nullopt;
    }
    return static_cast<int>(*number);
}

struct VmFile {
    std::string node;
    std::string path;
};

Result<std::map<int, VmFile>> list_vm_files(const std::string& root) {
    std::map<int, VmFile> files;
    std::error_code error;
    const fs::path nodes = root + "/nodes";
    for (fs::directory_iterator node{nodes, error}, end; !error && node != end;
         node.increment(error)) {
        std::error_code inner;
        for (fs::directory_iterator file{node->path() / "qemu-server", inner};
             !inner && file != end;
             file.increment(inner)) {
            if (const auto vmid = vmid_of(file->path())) {
                files[*vmid] = VmFile{node->path().filename(), file->path()};
            }
        }
        if (inner && inner != std::errc::no_such_file_or_directory) {
            return Error::from_errno(inner.value(), "Cannot list the virtual machines")
                .at({node->path() / "qemu-server", 0, {}});
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return Error::from_errno(error.value(), "Cannot list the nodes").at({nodes, 0, {}});
    }
    return files;
}

Result<std::vector<std::string>> list_nodes(const std::string& root) {
    std::vector<std::string> names;
    std::error_code error;
    const fs::path nodes = root + "/nodes";
    for (fs::directory_iterator node{nodes, error}, end; !error && node != end;
         node.increment(error)) {
        names.push_back(node->path().filename());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return Error::from_errno(error.value(), "Cannot list the nodes").at({nodes, 0, {}});
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<VmConfig> read_vm_file(int vmid, const VmFile& file) {
    VFSKIT_TRY_ASSIGN(const auto content, base::read_file(file.path, max_config_bytes));
    auto config = parse_vm_config(content);
    config.vmid = vmid;
    config.node = file.node;
    config.path = file.path;
    return config;
}

// A VM that migrates is renamed from one node's directory to another's between listing and reading;
// after a few rounds a file that is still missing is a VM that was removed.
constexpr int max_rounds = 3;

} // namespace

std::optional<std::string_view> VmSection::find(std::string_view key) const {
    const auto found = std::find_if(
        values.rbegin(), values.rend(), [key](const auto& line) { return line.first == key; });
    return found == values.rend() ? std::nullopt : std::optional<std::string_view>{found->second};
}

std::vector<VirtiofsDevice> VmConfig::devices_after_restart() const {
    auto devices = current.devices;
    for (const auto index : pending.deleted) {
        devices.erase(std::remove_if(devices.begin(),
                                     devices.end(),
                                     [&](const auto& d) { return d.index == index; }),
                      devices.end());
    }
    for (const auto& device : pending.devices) {
        put_device(devices, device);
    }
    return devices;
}

Result<VirtiofsDevice> parse_virtiofs_device(int index, std::string_view value) {
    if (value.find('\r') != std::string_view::npos) {
        return Error{EINVAL, "property contains a line feed"};
    }
    DeviceParser parser;
    for (const auto part : base::split(value, ',')) {
        if (!trim_perl_space(part).empty()) {
            VFSKIT_TRY(parser.add(part));
        }
    }
    VFSKIT_TRY_ASSIGN(auto device, std::move(parser).finish());
    device.index = index;
    device.raw = std::string{value};
    return device;
}

VmConfig parse_vm_config(std::string_view content) {
    return ConfigParser{}.parse(content);
}

Result<std::vector<VmConfig>> read_vm_configs(const std::string& root) {
    std::map<int, VmConfig> configs;
    for (int round = 0; round < max_rounds; ++round) {
        bool is_complete = true;
        VFSKIT_TRY_ASSIGN(const auto files, list_vm_files(root));
        for (const auto& [vmid, file] : files) {
            if (configs.contains(vmid)) {
                continue;
            }
            auto config = read_vm_file(vmid, file);
            if (!config) {
                if (config.error().code() != ENOENT) {
                    return std::move(config).error();
                }
                is_complete = false;
                continue;
            }
            configs.emplace(vmid, *std::move(config));
        }
        if (is_complete) {
            break;
        }
    }
    std::vector<VmConfig> result;
    result.reserve(configs.size());
    for (auto& [vmid, config] : configs) {
        result.push_back(std::move(config));
    }
    return result;
}

Result<VmConfig> read_vm_config(const std::string& root, int vmid, const std::string& near) {
    for (int round = 0; round < max_rounds; ++round) {
        VFSKIT_TRY_ASSIGN(auto nodes, list_nodes(root));
        std::stable_partition(
            nodes.begin(), nodes.end(), [&](const auto& node) { return node == near; });
        for (const auto& node : nodes) {
            auto config = read_vm_file(
                vmid,
                VmFile{node, fmt::format("{}/nodes/{}/qemu-server/{}.conf", root, node, vmid)});
            if (config || config.error().code() != ENOENT) {
                return config;
            }
        }
    }
    return Error{ENOENT, fmt::format("No node has virtual machine {}", vmid)}
        .at({root + "/nodes", 0, {}})
        .with_remedy("Name a virtual machine of this cluster");
}

} // namespace vfskit::store

// SPDX-License-Identifier: Apache-2.0
#include "core/node/qemu_process.h"

#include "core/base/size.h"
#include "core/base/text.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <utility>

namespace vfskit::node {

namespace {

using Properties = std::map<std::string, std::string, std::less<>>;

/// "socket,id=a,path=/x,,y" to {"": "socket", "id": "a", "path": "/x,y"}: the first word has no
/// key.
Properties parse_properties(std::string_view text) {
    Properties properties;
    std::string part;
    const auto finish = [&] {
        const auto equals = part.find('=');
        if (equals != std::string::npos) {
            properties[part.substr(0, equals)] = part.substr(equals + 1);
        } else if (properties.empty()) {
            properties[""] = part;
        }
        part.clear();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            part += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            part += text[++i];
        } else {
            finish();
        }
    }
    finish();
    return properties;
}

/// The values of a JSON object as -device and -object write them without JSON; "driver" and
/// "qom-type" also as the word without a key.
Properties parse_object(std::string_view text) {
    Properties properties;
    const auto object = nlohmann::json::parse(text, nullptr, false);
    if (object.is_object()) {
        for (const auto& [key, value] : object.items()) {
            if (value.is_string()) {
                properties[key] = value.get<std::string>();
            } else if (value.is_boolean()) {
                properties[key] = value.get<bool>() ? "on" : "off";
            } else if (value.is_number_unsigned()) {
                properties[key] = value.dump();
            }
        }
        for (const auto* const kind : {"driver", "qom-type"}) {
            if (const auto found = properties.find(kind); found != properties.end()) {
                properties[""] = found->second;
            }
        }
    }
    return properties;
}

Properties parse_either(std::string_view text) {
    return text.starts_with('{') ? parse_object(text) : parse_properties(text);
}

std::string get(const Properties& properties, std::string_view key) {
    const auto found = properties.find(key);
    return found == properties.end() ? "" : found->second;
}

std::optional<std::uint64_t> read_size(std::string_view text, std::uint64_t unit = 1) {
    const auto size = base::parse_size(text, unit);
    return size ? std::optional{*size} : std::nullopt;
}

/// What the command line says about memory, before it is known which of it is the guest's.
struct MemoryArguments {
    std::optional<std::uint64_t> bytes;
    std::string file;                                        ///< -mem-path
    std::map<std::string, Properties, std::less<>> backends; ///< -object, by id
    std::vector<std::string> used;                           ///< ids of the guest's own

    void take_size(const std::string& value) {
        const auto properties = parse_properties(value);
        const auto size = get(properties, "size");
        bytes = read_size(size.empty() ? get(properties, "") : size, std::uint64_t{1} << 20);
    }
    void take_backend(const std::string& value) {
        auto properties = parse_either(value);
        if (get(properties, "").starts_with("memory-backend-")) {
            backends[get(properties, "id")] = std::move(properties);
        }
    }
    void use(std::string id) {
        if (!id.empty()) {
            used.push_back(std::move(id));
        }
    }
};

bool is_on(const Properties& properties, std::string_view key, bool otherwise) {
    const auto word = get(properties, key);
    return word.empty() ? otherwise : word == "on" || word == "yes" || word == "true";
}

/// Adds one back-end of the guest's memory.
void take_backend(QemuMemory& memory, const Properties& backend) {
    const bool is_memfd = get(backend, "") == "memory-backend-memfd";
    const bool is_shared = is_on(backend, "share", is_memfd);
    memory.facts.is_shared = memory.facts.is_shared.value_or(true) && is_shared;
    if (const auto file = get(backend, "mem-path"); !file.empty()) {
        memory.files.push_back(file);
    }
    if (is_on(backend, "hugetlb", false)) {
        memory.facts.has_hugepages = true;
        memory.facts.hugepage_bytes = read_size(get(backend, "hugetlbsize"));
    }
}

QemuMemory judge_memory(const MemoryArguments& arguments) {
    QemuMemory memory;
    memory.facts.bytes = arguments.bytes;
    for (const auto& id : arguments.used) {
        if (const auto backend = arguments.backends.find(id); backend != arguments.backends.end()) {
            take_backend(memory, backend->second);
        }
    }
    if (arguments.used.empty()) {
        memory.facts.is_shared = false;
        if (!arguments.file.empty()) {
            memory.files.push_back(arguments.file);
        }
    }
    if (!memory.facts.has_hugepages && memory.files.empty()) {
        memory.facts.has_hugepages = false;
    }
    return memory;
}

} // namespace

QemuArguments parse_qemu_arguments(std::span<const std::string> argv) {
    QemuArguments arguments;
    MemoryArguments memory;
    std::map<std::string, std::string> sockets; // by character device
    std::vector<Properties> devices;
    for (std::size_t i = 0; i + 1 < argv.size(); ++i) {
        std::string_view option{argv[i]};
        if (!option.starts_with('-')) {
            continue;
        }
        option.remove_prefix(option.starts_with("--") ? 2 : 1);
        const auto& value = argv[i + 1];
        if (option == "name") {
            const auto properties = parse_properties(value);
            const auto guest = get(properties, "guest");
            arguments.name = guest.empty() ? get(properties, "") : guest;
            // libvirt always writes guest=…,debug-threads=on.
            arguments.is_libvirts = arguments.is_libvirts || !guest.empty();
        } else if (option == "uuid") {
            arguments.uuid = value;
        } else if (option == "id") {
            if (const auto id = base::parse_unsigned(value, "VMID", UINT32_MAX)) {
                arguments.vmid = static_cast<std::uint32_t>(*id);
            }
        } else if (option == "m") {
            memory.take_size(value);
        } else if (option == "object") {
            memory.take_backend(value);
        } else if (option == "machine" || option == "M") {
            memory.use(get(parse_either(value), "memory-backend"));
        } else if (option == "numa") {
            memory.use(get(parse_either(value), "memdev"));
        } else if (option == "mem-path") {
            memory.file = value;
        } else if (option == "chardev") {
            const auto properties = parse_either(value);
            sockets[get(properties, "id")] = get(properties, "path");
        } else if (option == "device") {
            devices.push_back(parse_either(value));
        }
    }
    for (const auto& device : devices) {
        if (get(device, "").starts_with("vhost-user-fs")) {
            arguments.shares.push_back(
                {.socket = sockets[get(device, "chardev")], .tag = get(device, "tag")});
        }
    }
    arguments.memory = judge_memory(memory);
    return arguments;
}

} // namespace vfskit::node

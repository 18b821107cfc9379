// SPDX-License-Identifier: Apache-2.0
#include "core/node/qemu_process.h"

#include "core/base/text.h"

#include <nlohmann/json.hpp>

#include <map>

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

/// The texts of a JSON object; "driver" also as the word without a key.
Properties parse_object(std::string_view text) {
    Properties properties;
    const auto object = nlohmann::json::parse(text, nullptr, false);
    if (object.is_object()) {
        for (const auto& [key, value] : object.items()) {
            if (value.is_string()) {
                properties[key] = value.get<std::string>();
            }
        }
        if (const auto driver = properties.find("driver"); driver != properties.end()) {
            properties[""] = driver->second;
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

} // namespace

QemuArguments parse_qemu_arguments(std::span<const std::string> argv) {
    QemuArguments arguments;
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
    return arguments;
}

} // namespace vfskit::node

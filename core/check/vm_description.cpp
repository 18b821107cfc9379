// SPDX-License-Identifier: Apache-2.0
// The plain description of a VM as JSON. One list of members per struct serves both directions.
#include "core/check/vm_reader.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <type_traits>

namespace vfskit::check {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kind_word = "vm-description";
constexpr std::uint64_t format_version = 1;

Error wrong(std::string_view name, std::string_view wanted) {
    return Error{EBADMSG, fmt::format("'{}' is not {}", name, wanted)}.with_remedy(
        "See schemas/vm-description.schema.json");
}

Result<VmKind> word_to(std::string_view word, VmKind /*tag*/) {
    for (const auto kind : {VmKind::libvirt, VmKind::pve, VmKind::qemu}) {
        if (word == to_string(kind)) {
            return kind;
        }
    }
    return wrong(word, "libvirt, pve or qemu");
}

Result<LaunchKind> word_to(std::string_view word, LaunchKind /*tag*/) {
    for (const auto kind : {LaunchKind::managed, LaunchKind::socket, LaunchKind::pve}) {
        if (word == to_string(kind)) {
            return kind;
        }
    }
    return wrong(word, "managed, socket or pve");
}

Result<share::CachePolicy> word_to(std::string_view word, share::CachePolicy /*tag*/) {
    return share::parse_cache_policy(word);
}

template <class A>
void members(A& archive, VmShare& share) {
    archive("tag", share.tag, true);
    archive("dirid", share.dirid);
    archive("launch", share.launch);
    archive("device", share.device);
    archive("source-dir", share.source_dir);
    archive("socket", share.socket);
    archive("binary", share.binary);
    archive("cache", share.cache);
    archive("xattr", share.xattr);
    archive("posix-acl", share.posix_acl);
    archive("writeback", share.writeback);
    archive("announce-submounts", share.announce_submounts);
    archive("readonly", share.readonly);
    archive("has-fixed-address", share.has_fixed_address);
}

template <class A>
void members(A& archive, NinepDevice& device) {
    archive("tag", device.tag, true);
    archive("dirid", device.dirid);
    archive("source-dir", device.source_dir);
    archive("multidevs", device.multidevs);
    archive("is-mounted", device.is_mounted);
}

template <class A>
void members(A& archive, Vm& vm) {
    archive("name", vm.name, true);
    archive("manager", vm.kind);
    archive("is-running", vm.is_running);
    archive("has-shared-memory", vm.has_shared_memory);
    archive("memory-bytes", vm.memory_bytes);
    archive("has-hugepages", vm.has_hugepages);
    archive("hugepage-bytes", vm.hugepage_bytes);
    archive("has-memory-hotplug", vm.has_memory_hotplug);
    archive("snapshots", vm.snapshots);
    archive("shares", vm.shares);
    archive("9p", vm.ninep);
}

class Writer {
public:
    explicit Writer(Json& json) : json_{json} {}

    template <class T>
    void operator()(const char* name, const T& value, bool /*is_required*/ = false) {
        json_[name] = to_value(value);
    }
    template <class T>
    void operator()(const char* name, const std::optional<T>& value) {
        if (value) {
            json_[name] = to_value(*value);
        }
    }

private:
    template <class T>
    static Json to_value(const T& value) {
        if constexpr (std::is_enum_v<T>) {
            return to_string(value);
        } else {
            return value;
        }
    }
    template <class T>
    static Json to_value(const std::vector<T>& values) {
        auto array = Json::array();
        for (auto element : values) {
            Json object = Json::object();
            Writer writer{object};
            members(writer, element);
            array.push_back(std::move(object));
        }
        return array;
    }

    Json& json_;
};

class Reader {
public:
    explicit Reader(const Json& json) : json_{json} {}

    template <class T>
    void operator()(const char* name, T& value, bool is_required = false) {
        const auto found = json_.find(name);
        if (found != json_.end()) {
            keep(read(name, *found, value));
        } else if (is_required) {
            keep(wrong(name, "there"));
        }
    }
    template <class T>
    void operator()(const char* name, std::optional<T>& value) {
        if (json_.contains(name)) {
            (*this)(name, value.emplace());
        }
    }
    [[nodiscard]] const Result<void>& result() const { return result_; }

private:
    void keep(Result<void> step) {
        if (result_) {
            result_ = std::move(step);
        }
    }
    template <class T>
    static Result<void> read(const char* name, const Json& json, T& value) {
        if constexpr (std::is_enum_v<T>) {
            if (!json.is_string()) {
                return wrong(name, "a word");
            }
            VFSKIT_TRY_ASSIGN(value, word_to(json.template get<std::string>(), value));
            return {};
        } else if constexpr (std::is_same_v<T, bool>) {
            return json.is_boolean() ? assign(json, value) : wrong(name, "true or false");
        } else if constexpr (std::is_unsigned_v<T>) {
            return json.is_number_unsigned() ? assign(json, value) : wrong(name, "a whole number");
        } else {
            return json.is_string() ? assign(json, value) : wrong(name, "a text");
        }
    }
    template <class T>
    static Result<void> read(const char* name, const Json& json, std::vector<T>& values) {
        if (!json.is_array()) {
            return wrong(name, "a list");
        }
        for (const auto& element : json) {
            if (!element.is_object()) {
                return wrong(name, "a list of objects");
            }
            Reader reader{element};
            members(reader, values.emplace_back());
            VFSKIT_TRY(reader.result());
        }
        return {};
    }
    template <class T>
    static Result<void> assign(const Json& json, T& value) {
        value = json.template get<T>();
        return {};
    }

    const Json& json_;
    Result<void> result_;
};

} // namespace

Result<Vm> parse_vm_description(std::string_view text) {
    const auto json = Json::parse(text, nullptr, false);
    if (!json.is_object()) {
        return Error{EBADMSG, "The description of the VM is no JSON object"}.with_remedy(
            "See schemas/vm-description.schema.json");
    }
    if (!json.contains("kind") || json["kind"] != kind_word || !json.contains("version")) {
        return wrong("kind", fmt::format("\"{}\" with a version", kind_word));
    }
    if (json["version"] != format_version) {
        return Error{EPROTONOSUPPORT, "The description of the VM is of another version"}
            .with_remedy(fmt::format("Write version {}", format_version));
    }
    Vm vm;
    Reader reader{json};
    members(reader, vm);
    VFSKIT_TRY(reader.result());
    for (auto& share : vm.shares) {
        share.is_dirid_explicit = !share.dirid.empty();
        share.dirid = share.dirid.empty() ? share.tag : share.dirid;
    }
    for (auto& device : vm.ninep) {
        device.dirid = device.dirid.empty() ? device.tag : device.dirid;
    }
    return vm;
}

std::string to_json(const Vm& vm) {
    Json json{{"kind", kind_word}, {"version", format_version}};
    Writer writer{json};
    auto copy = vm;
    for (auto& share : copy.shares) {
        share.dirid = share.is_dirid_explicit ? share.dirid : std::string{};
    }
    members(writer, copy);
    for (auto& share : json["shares"]) {
        for (const char* name : {"dirid", "device"}) {
            if (share[name] == "") {
                share.erase(name);
            }
        }
    }
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace vfskit::check

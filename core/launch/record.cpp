// SPDX-License-Identifier: Apache-2.0
#include "core/launch/record.h"

#include "core/base/file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::launch {

namespace {

using Json = nlohmann::ordered_json;

// A record is some hundred bytes; a command line of the kernel at most two MiB.
constexpr std::size_t max_record_bytes = std::size_t{4} << 20;

template <class T>
void put(Json& object, const char* key, const std::optional<T>& value) {
    if (value) {
        object[key] = *value;
    }
}

Json limits_json(const Limits& limits) {
    Json object = Json::object();
    put(object, "read-bytes-per-second", limits.read_bytes_per_second);
    put(object, "write-bytes-per-second", limits.write_bytes_per_second);
    put(object, "read-operations-per-second", limits.read_operations_per_second);
    put(object, "write-operations-per-second", limits.write_operations_per_second);
    put(object, "cpu-percent", limits.cpu_percent);
    put(object, "memory-bytes", limits.memory_bytes);
    put(object, "io-device", limits.io_device);
    return object;
}

template <class T>
void take(const Json& object, const char* key, std::optional<T>& value) {
    if (const auto found = object.find(key); found != object.end()) {
        value = found->get<T>();
    }
}

Limits read_limits(const Json& object) {
    Limits limits;
    take(object, "read-bytes-per-second", limits.read_bytes_per_second);
    take(object, "write-bytes-per-second", limits.write_bytes_per_second);
    take(object, "read-operations-per-second", limits.read_operations_per_second);
    take(object, "write-operations-per-second", limits.write_operations_per_second);
    take(object, "cpu-percent", limits.cpu_percent);
    take(object, "memory-bytes", limits.memory_bytes);
    take(object, "io-device", limits.io_device);
    return limits;
}

DaemonRecord read_object(const Json& object) {
    DaemonRecord record;
    record.vm = object.at("vm").get<std::string>();
    record.tag = object.at("tag").get<std::string>();
    record.mapping = object.at("mapping").get<std::string>();
    record.shared_dir = object.at("shared-dir").get<std::string>();
    record.keeper =
        object.at("keeper").get<std::string>() == "systemd" ? Keeper::systemd : Keeper::direct;
    record.socket = object.at("socket").get<std::string>();
    take(object, "control-socket", record.control);
    take(object, "unit", record.unit);
    take(object, "log", record.log);
    record.argv = object.at("argv").get<std::vector<std::string>>();
    record.process.pid = object.value("pid", 0);
    record.process.start_time = object.value("start-time", std::uint64_t{0});
    record.started = object.at("started").get<std::string>();
    record.restart =
        object.value("restart", "no") == "on-failure" ? Restart::on_failure : Restart::never;
    if (const auto limits = object.find("limits"); limits != object.end()) {
        record.limits = read_limits(*limits);
    }
    return record;
}

} // namespace

std::string_view to_string(Keeper keeper) {
    return keeper == Keeper::systemd ? "systemd" : "direct";
}

std::string_view to_string(Restart restart) {
    return restart == Restart::on_failure ? "on-failure" : "no";
}

Result<Restart> parse_restart(std::string_view word) {
    if (word == "no") {
        return Restart::never;
    }
    if (word == "on-failure") {
        return Restart::on_failure;
    }
    return Error{EINVAL, fmt::format("'{}' is no restart policy", word)}.with_remedy(
        "Use 'no' or 'on-failure'");
}

std::string to_json(const DaemonRecord& record) {
    Json object{{"kind", "daemon-record"},
                {"version", 1},
                {"vm", record.vm},
                {"tag", record.tag},
                {"mapping", record.mapping},
                {"shared-dir", record.shared_dir},
                {"keeper", to_string(record.keeper)},
                {"socket", record.socket}};
    put(object, "control-socket", record.control);
    put(object, "unit", record.unit);
    put(object, "log", record.log);
    object["argv"] = record.argv;
    if (record.process.pid != 0) {
        object["pid"] = record.process.pid;
        object["start-time"] = record.process.start_time;
    }
    object["started"] = record.started;
    object["restart"] = to_string(record.restart);
    if (!record.limits.is_empty()) {
        object["limits"] = limits_json(record.limits);
    }
    return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<DaemonRecord> parse_record(std::string_view json) {
    try {
        const auto object = Json::parse(json);
        if (object.at("kind") != "daemon-record" || object.at("version") != 1) {
            return Error{EBADMSG, "This is no daemon record of version 1"};
        }
        return read_object(object);
    } catch (const Json::exception& problem) {
        return Error{EBADMSG, fmt::format("This is no daemon record: {}", problem.what())};
    }
}

Result<DaemonRecord> read_record(const std::string& path) {
    VFSKIT_TRY_ASSIGN(const auto text, base::read_file(path, max_record_bytes));
    auto record = parse_record(text);
    if (!record) {
        return std::move(record).error().at({.file = path, .line = 0, .key = {}});
    }
    return record;
}

} // namespace vfskit::launch

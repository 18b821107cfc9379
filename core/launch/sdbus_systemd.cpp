// SPDX-License-Identifier: Apache-2.0
// systemd over D-Bus. The only file that knows sdbus-c++, whose versions 1 and 2 differ in the
// types of names.
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/launch/service_manager.h"

#include <fmt/format.h>
#include <sdbus-c++/sdbus-c++.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <tuple>

namespace vfskit::launch {

namespace {

#if VFSKIT_SDBUS_MAJOR >= 2
using ServiceName = sdbus::ServiceName;
#else
using ServiceName = std::string;
#endif

constexpr const char* destination = "org.freedesktop.systemd1";
constexpr const char* manager_path = "/org/freedesktop/systemd1";
constexpr const char* manager_interface = "org.freedesktop.systemd1.Manager";
constexpr std::chrono::seconds answer_time{25};

using Properties = std::vector<sdbus::Struct<std::string, sdbus::Variant>>;
using AuxiliaryUnits = std::vector<sdbus::Struct<std::string, Properties>>;
using UnitRow = sdbus::Struct<std::string,
                              std::string,
                              std::string,
                              std::string,
                              std::string,
                              std::string,
                              sdbus::ObjectPath,
                              std::uint32_t,
                              std::string,
                              sdbus::ObjectPath>;

using Job = sdbus::Struct<std::uint32_t, sdbus::ObjectPath>; // its number, 0: none

sdbus::Variant to_variant(const UnitValue& value) {
    struct Visitor {
        sdbus::Variant operator()(const ExecCommand& command) const {
            std::vector<std::string> argv{command.spec.program};
            argv.insert(argv.end(), command.spec.args.begin(), command.spec.args.end());
            using Row = sdbus::Struct<std::string, std::vector<std::string>, bool>;
            return sdbus::Variant{std::vector<Row>{
                Row{command.spec.program, std::move(argv), command.ignores_failure}}};
        }
        sdbus::Variant operator()(const DeviceLimit& limit) const {
            using Row = sdbus::Struct<std::string, std::uint64_t>;
            return sdbus::Variant{std::vector<Row>{Row{limit.path, limit.limit}}};
        }
        sdbus::Variant operator()(const AllowList& list) const {
            return sdbus::Variant{sdbus::Struct<bool, std::vector<std::string>>{true, list.words}};
        }
        sdbus::Variant operator()(bool plain) const { return sdbus::Variant{plain}; }
        sdbus::Variant operator()(std::uint32_t plain) const { return sdbus::Variant{plain}; }
        sdbus::Variant operator()(std::uint64_t plain) const { return sdbus::Variant{plain}; }
        sdbus::Variant operator()(const std::string& plain) const { return sdbus::Variant{plain}; }
        sdbus::Variant operator()(const std::vector<std::string>& plain) const {
            return sdbus::Variant{plain};
        }
    };
    return std::visit(Visitor{}, value);
}

int code_of(const std::string& name) {
    static const std::map<std::string, int, std::less<>> codes{
        {"org.freedesktop.systemd1.UnitExists", EEXIST},
        {"org.freedesktop.systemd1.NoSuchUnit", ENOENT},
        {"org.freedesktop.DBus.Error.AccessDenied", EACCES},
        {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", EACCES},
        {"org.freedesktop.DBus.Error.InvalidArgs", EINVAL},
        {"org.freedesktop.DBus.Error.PropertyReadOnly", ENOTSUP},
        {"org.freedesktop.DBus.Error.ServiceUnknown", ENOENT},
        {"org.freedesktop.DBus.Error.NoReply", ETIMEDOUT},
        {"org.freedesktop.DBus.Error.Timeout", ETIMEDOUT},
    };
    const auto found = codes.find(name);
    return found == codes.end() ? EIO : found->second;
}

Error to_error(const sdbus::Error& error, std::string_view doing) {
    auto result = Error{code_of(error.getName()), fmt::format("{}: {}", doing, error.getMessage())};
    if (result.code() == EACCES) {
        return std::move(result).with_remedy("Run it as root");
    }
    return result;
}

class SdbusManager final : public ServiceManager {
public:
    explicit SdbusManager(std::unique_ptr<sdbus::IConnection> connection)
        : connection_{std::move(connection)}, manager_{proxy(manager_path)} {}

    Result<void> start(const TransientUnit& unit) override {
        Properties properties;
        for (const auto& property : unit.properties) {
            properties.emplace_back(property.name, to_variant(property.value));
        }
        try {
            sdbus::ObjectPath job;
            manager_->callMethod("StartTransientUnit")
                .onInterface(manager_interface)
                .withTimeout(answer_time)
                .withArguments(unit.name, std::string{"fail"}, properties, AuxiliaryUnits{})
                .storeResultsTo(job);
            return {};
        } catch (const sdbus::Error& error) {
            return to_error(error, fmt::format("Cannot start the unit '{}'", unit.name));
        }
    }

    Result<std::optional<UnitState>> state(const std::string& unit) override {
        try {
            sdbus::ObjectPath path;
            manager_->callMethod("GetUnit")
                .onInterface(manager_interface)
                .withTimeout(answer_time)
                .withArguments(unit)
                .storeResultsTo(path);
            const auto object = proxy(path);
            UnitState state;
            // Between the call that starts it and systemd's turn to do so it is still what it was.
            // Asked first: it is over when its outcome shows.
            const auto job =
                object->getProperty("Job").onInterface("org.freedesktop.systemd1.Unit").get<Job>();
            state.active = object->getProperty("ActiveState")
                               .onInterface("org.freedesktop.systemd1.Unit")
                               .get<std::string>();
            if (state.active == "inactive" && std::get<0>(job) != 0) {
                state.active = "activating";
            }
            state.main_pid = object->getProperty("MainPID")
                                 .onInterface("org.freedesktop.systemd1.Service")
                                 .get<std::uint32_t>();
            return std::optional{state};
        } catch (const sdbus::Error& error) {
            const auto code = code_of(error.getName());
            // It may also be collected between the two calls.
            if (code == ENOENT || error.getName() == "org.freedesktop.DBus.Error.UnknownObject") {
                return std::optional<UnitState>{};
            }
            return to_error(error, fmt::format("Cannot ask for the unit '{}'", unit));
        }
    }

    Result<void> stop(const std::string& unit) override {
        try {
            sdbus::ObjectPath job;
            manager_->callMethod("StopUnit")
                .onInterface(manager_interface)
                .withTimeout(answer_time)
                .withArguments(unit, std::string{"replace"})
                .storeResultsTo(job);
            return {};
        } catch (const sdbus::Error& error) {
            if (code_of(error.getName()) == ENOENT) {
                return {};
            }
            return to_error(error, fmt::format("Cannot stop the unit '{}'", unit));
        }
    }

    Result<void> reset_failed(const std::string& unit) override {
        try {
            manager_->callMethod("ResetFailedUnit")
                .onInterface(manager_interface)
                .withTimeout(answer_time)
                .withArguments(unit);
            return {};
        } catch (const sdbus::Error& error) {
            if (code_of(error.getName()) == ENOENT) {
                return {};
            }
            return to_error(error, fmt::format("Cannot reset the unit '{}'", unit));
        }
    }

    Result<std::vector<std::string>> list(const std::string& pattern) override {
        try {
            std::vector<UnitRow> rows;
            manager_->callMethod("ListUnitsByPatterns")
                .onInterface(manager_interface)
                .withTimeout(answer_time)
                .withArguments(std::vector<std::string>{}, std::vector<std::string>{pattern})
                .storeResultsTo(rows);
            std::vector<std::string> names;
            names.reserve(rows.size());
            for (const auto& row : rows) {
                names.push_back(std::get<0>(row));
            }
            return names;
        } catch (const sdbus::Error& error) {
            return to_error(error, "Cannot list systemd's units");
        }
    }

    std::string last_words(const std::string& unit) override {
        const auto output = base::run_and_capture(
            {.program = "journalctl",
             .args = {"--no-pager", "-q", "-o", "cat", "-n", "3", "-t", "virtiofsd", "-u", unit}},
            std::chrono::seconds{2});
        return output && output->exit_status == 0 ? std::string{base::trim(output->out)}
                                                  : std::string{};
    }

private:
    [[nodiscard]] std::unique_ptr<sdbus::IProxy> proxy(const std::string& path) const {
        return sdbus::createProxy(*connection_, ServiceName{destination}, sdbus::ObjectPath{path});
    }

    std::unique_ptr<sdbus::IConnection> connection_;
    std::unique_ptr<sdbus::IProxy> manager_;
};

} // namespace

bool systemd_is_running() {
    struct stat info {};
    return ::lstat("/run/systemd/system", &info) == 0 && S_ISDIR(info.st_mode);
}

Result<std::unique_ptr<ServiceManager>> connect_systemd() {
    try {
        return std::unique_ptr<ServiceManager>{
            new SdbusManager{sdbus::createSystemBusConnection()}};
    } catch (const sdbus::Error& error) {
        return to_error(error, "Cannot reach systemd over the system bus")
            .with_remedy("Start dbus, or start the daemon with --launcher direct");
    }
}

} // namespace vfskit::launch

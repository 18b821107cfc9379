// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/launch/direct.h"
#include "core/launch/launcher.h"
#include "core/launch/processes.h"

#include <cerrno>
#include <chrono>
#include <map>
#include <string>

namespace vfskit::test {

/// A systemd that really runs the units' commands, and knows nothing else of them.
class FakeServiceManager final : public launch::ServiceManager {
public:
    explicit FakeServiceManager(std::string directory) : directory_{std::move(directory)} {}
    ~FakeServiceManager() override {
        for (const auto& [name, process] : running) {
            static_cast<void>(launch::end_process(process, std::chrono::seconds{2}).has_value());
        }
    }

    Result<void> start(const launch::TransientUnit& unit) override {
        started.push_back(unit);
        for (const auto& property : unit.properties) {
            if (property.name == "ExecStart") {
                launch::SharePaths paths;
                paths.pid_file = directory_ + "/unit.pid";
                paths.log = log();
                VFSKIT_TRY_ASSIGN(running[unit.name],
                                  launch::start_directly(
                                      std::get<launch::ExecCommand>(property.value).spec, paths));
            }
        }
        return {};
    }
    Result<std::optional<launch::UnitState>> state(const std::string& unit) override {
        const auto found = running.find(unit);
        if (found == running.end() || !launch::is_alive(found->second)) {
            return std::optional<launch::UnitState>{};
        }
        return std::optional{
            launch::UnitState{"active", static_cast<std::uint32_t>(found->second.pid)}};
    }
    Result<void> stop(const std::string& unit) override {
        const auto found = running.find(unit);
        return found == running.end() ? Result<void>{}
                                      : launch::end_process(found->second, std::chrono::seconds{2});
    }
    Result<void> reset_failed(const std::string& /*unit*/) override { return {}; }
    Result<std::vector<std::string>> list(const std::string& /*pattern*/) override {
        std::vector<std::string> names;
        for (const auto& [name, process] : running) {
            if (launch::is_alive(process)) {
                names.push_back(name);
            }
        }
        return names;
    }
    std::string last_words(const std::string& /*unit*/) override {
        return launch::last_lines(log(), 3);
    }

    std::vector<launch::TransientUnit> started;
    std::map<std::string, launch::ProcessId> running;

private:
    [[nodiscard]] std::string log() const { return directory_ + "/journal"; }
    std::string directory_;
};

} // namespace vfskit::test

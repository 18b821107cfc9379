// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/doctor.h"
#include "core/store/pve_store.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace vfskit::store {

inline constexpr const char* directory_cfg = "mapping/directory.cfg";
inline constexpr const char* truth_cfg = "mapping/vfskit.cfg";

/// "CODE subject" of each.
inline std::vector<std::string> codes(const std::vector<Finding>& findings) {
    std::vector<std::string> result;
    for (const auto& finding : findings) {
        result.push_back(finding.code + " " + finding.subject);
    }
    return result;
}

/// A plain directory in place of /etc/pve.
class Doctor : public testing::Test {
protected:
    Doctor() { std::filesystem::create_directories(dir_.path("mapping")); }

    [[nodiscard]] std::string url() const { return "pve:" + dir_.root(); }
    [[nodiscard]] std::vector<Finding> findings() const {
        return std::move(diagnose(url()))->findings;
    }
    [[nodiscard]] Repair fix() const {
        auto repaired = repair(diagnose(url()).value());
        EXPECT_TRUE(repaired) << repaired.error().describe();
        return std::move(repaired).value();
    }
    [[nodiscard]] Snapshot snapshot() const {
        return open_pve_store(dir_.root()).value()->snapshot().value();
    }
    void write(const std::string& content) const { dir_.write(directory_cfg, content); }
    void write_vm(const std::string& content) const {
        std::filesystem::create_directories(dir_.path("nodes/n1/qemu-server"));
        dir_.write("nodes/n1/qemu-server/100.conf", content);
    }

    test::TempDir dir_;
};

} // namespace vfskit::store

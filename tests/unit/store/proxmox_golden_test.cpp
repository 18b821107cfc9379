// SPDX-License-Identifier: Apache-2.0
// tests/golden/proxmox/directory_cfg.json: generated files, and what Proxmox VE's own
// parse_config() read in them and its write_config() made of one change, recorded with
// guest-common 6.0.2 and 5.2.2 (which agree) and with the plugin's two properties known. Files
// without a change are damaged ones.
#include "core/store/directory_config.h"
#include "tests/support/source_tree.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace vfskit::store {
namespace {

using nlohmann::json;

json recorded_cases() {
    std::ifstream file{test::source_path("tests/golden/proxmox/directory_cfg.json")};
    return json::parse(file);
}

/// The sections that count, in the order in which Proxmox VE has them.
std::vector<const DirectorySection*> effective_sections(const DirectoryConfig& config) {
    std::vector<std::size_t> indexes;
    indexes.reserve(config.effective.size());
    for (const auto& [id, index] : config.effective) {
        indexes.push_back(index);
    }
    std::ranges::sort(indexes);
    std::vector<const DirectorySection*> sections;
    sections.reserve(indexes.size());
    for (const auto index : indexes) {
        sections.push_back(&config.sections[index]);
    }
    return sections;
}

json as_recorded(const DirectorySection& section) {
    json record{{"id", section.mapping.id}};
    if (section.is_poison) {
        record["is-poison"] = true;
        return record;
    }
    for (const auto& entry : section.mapping.paths) {
        record["paths"].push_back({entry.node, entry.path});
    }
    if (section.mapping.description) {
        record["description"] = *section.mapping.description;
    }
    if (section.mapping.live_migration_method) {
        record["live-migration-method"] = to_string(*section.mapping.live_migration_method);
    }
    if (section.mapping.path_relation) {
        record["path-relation"] = to_string(*section.mapping.path_relation);
    }
    return record;
}

SectionWish
wish_for(const DirectoryConfig& config, const std::string& id, const std::string& action) {
    SectionWish wish{.id = id, .mapping = mapping::DirectoryMapping{}, .writes_our_keys = false};
    if (action == "add") {
        wish.mapping->id = id;
        wish.mapping->paths = {{"n1", "/new"}};
        wish.mapping->description = "made";
        return wish;
    }
    wish.mapping = config.find(id)->mapping;
    if (action == "describe") {
        wish.mapping->description = "new words";
    } else if (action == "move") {
        wish.mapping->paths.at(0).path = "/new";
    } else if (action == "remove") {
        wish.mapping.reset();
    } else if (action == "set-method") {
        wish.mapping->live_migration_method = mapping::MigrationMethod::find_paths;
        wish.writes_our_keys = true;
    } else {
        ADD_FAILURE() << action;
    }
    return wish;
}

TEST(ProxmoxGolden, ReadsWhatProxmoxReads) {
    for (const auto& recorded : recorded_cases()) {
        SCOPED_TRACE(recorded.at("content").get<std::string>());
        const auto config = parse_directory_config(recorded.at("content"), "directory.cfg");
        auto read = json::array();
        for (const auto* section : effective_sections(*config)) {
            read.push_back(as_recorded(*section));
        }
        EXPECT_EQ(read, recorded.at("mappings"));
    }
}

TEST(ProxmoxGolden, WritesWhatProxmoxWrites) {
    std::size_t changes = 0;
    for (const auto& recorded : recorded_cases()) {
        if (!recorded.contains("change")) {
            continue;
        }
        ++changes;
        SCOPED_TRACE(recorded.at("content").get<std::string>());
        const auto config = parse_directory_config(recorded.at("content"), "directory.cfg");
        const auto& change = recorded.at("change");
        const auto edited = edit_directory_config(
            *config, "directory.cfg", {wish_for(*config, change.at("id"), change.at("action"))});
        ASSERT_TRUE(edited) << edited.error().describe();
        EXPECT_EQ(*edited, recorded.at("written").get<std::string>());
    }
    EXPECT_EQ(changes, 30U);
}

} // namespace
} // namespace vfskit::store

// SPDX-License-Identifier: Apache-2.0
// Any bytes as directory.cfg and as vfskit.cfg: what is read, edited and read again must say what
// was asked for, an edit that changes nothing must give the same bytes, and mending must lose no
// mapping.
#include "core/store/directory_config.h"
#include "core/store/doctor_findings.h"
#include "core/store/pve_truth.h"
#include "core/store/vm_config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace vfskit;
using namespace vfskit::store;

const std::string file_name = "directory.cfg";

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

mapping::DirectoryMapping changed(mapping::DirectoryMapping mapping) {
    if (mapping.paths.size() > 1) {
        mapping.paths.erase(mapping.paths.begin());
    }
    mapping.paths.push_back({"fuzz-node", "/fuzz/path"});
    mapping.description = "fuzzed";
    mapping.live_migration_method = mapping::MigrationMethod::find_paths;
    return mapping;
}

void fulfil(const DirectoryConfig& config, const SectionWish& wish) {
    const auto edited = edit_directory_config(config, file_name, {wish});
    if (!edited) {
        return;
    }
    const auto again = parse_directory_config(*edited, file_name);
    const auto* section = again->find(wish.id);
    require((section != nullptr) == wish.mapping.has_value());
    require(section == nullptr || section->mapping == *wish.mapping);
    for (const auto& [id, index] : config.effective) {
        const auto* other = again->find(id);
        require(id == wish.id ||
                (other != nullptr && other->is_poison == config.sections[index].is_poison &&
                 other->mapping == config.sections[index].mapping));
    }
}

void edit_everything(const DirectoryConfig& config) {
    // Each wish parses the whole again; a few sections show as much as all.
    constexpr std::size_t max_sections = 8;
    std::size_t count = 0;
    for (const auto& [id, index] : config.effective) {
        if (++count > max_sections) {
            break;
        }
        const auto& section = config.sections[index];
        if (!section.is_poison) {
            const auto same = edit_directory_config(
                config, file_name, {SectionWish{std::string{id}, section.mapping, false}});
            require(same && *same == config.content);
        }
        fulfil(config, {std::string{id}, changed(section.mapping), true});
        fulfil(config, {std::string{id}, std::nullopt, false});
    }
    mapping::DirectoryMapping added;
    added.id = "fuzz-new";
    fulfil(config, {added.id, changed(added), true});
}

void mend(const DirectoryConfig& config) {
    const auto mended =
        mend_directory(config.content, file_name, [](const Finding&) { return true; });
    if (!mended) {
        return;
    }
    const auto again = parse_directory_config(*mended, file_name);
    for (const auto& [id, index] : config.effective) {
        const auto* section = again->find(id);
        require(config.sections[index].is_poison || (section != nullptr && !section->is_poison));
    }
}

void check_truth(std::string_view content, const DirectoryConfig& directory) {
    const auto truth = parse_truth(content, "vfskit.cfg", directory);
    const auto settled = edit_truth(content, truth, {});
    const auto again = parse_truth(settled, "vfskit.cfg", directory);
    require(!again.has_unfinished_change);
    require(again.records.size() == truth.records.size());
    for (const auto& [id, record] : truth.records) {
        const auto found = again.records.find(id);
        require(found != again.records.end() && found->second.says_the_same(record));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input{reinterpret_cast<const char*>(data), size};
    const auto config = parse_directory_config(std::string{input}, file_name);
    edit_everything(*config);
    mend(*config);
    check_truth(input, *config);
    [[maybe_unused]] const auto vm = parse_vm_config(input);
    return 0;
}

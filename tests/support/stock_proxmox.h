// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/file.h"
#include "core/store/directory_config.h"
#include "core/store/pve_lock.h"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

namespace vfskit::test {

/// Works as a stock Proxmox VE node does: takes the lock, parses directory.cfg, lets `change`
/// change the sections it understood, and writes the whole file anew with only the keys it knows.
class FakeStockNode {
public:
    using Sections = std::vector<mapping::DirectoryMapping>;

    explicit FakeStockNode(std::string root) : root_{std::move(root)} {}

    Result<void> rewrite(const std::function<void(Sections&)>& change = [](Sections&) {}) const {
        VFSKIT_TRY_ASSIGN(const auto lock,
                          store::PveLock::acquire(root_,
                                                  store::pve_mapping_lock,
                                                  store::PveLockOptions{},
                                                  store::steady_pve_clock()));
        const auto path = root_ + "/mapping/directory.cfg";
        auto content = base::read_file(path, 1U << 20U);
        if (!content && content.error().code() != ENOENT) {
            return std::move(content).error();
        }
        const auto config = store::parse_directory_config(content ? *content : std::string{}, path);
        Sections sections;
        for (const auto& section : config->sections) {
            if (section.is_superseded) {
                continue;
            }
            if (section.is_poison) {
                return Error{EINVAL, "unknown section type ''"};
            }
            sections.push_back(section.mapping);
        }
        change(sections);
        base::ReplaceOptions options;
        options.sync = false;
        options.temp_suffix = fmt::format(".tmp.{}", ::getpid());
        return base::replace_file(path, format(sections), options);
    }

private:
    static std::string format(const Sections& sections) {
        std::string content;
        for (const auto& section : sections) {
            content += section.id + "\n";
            for (const auto& entry : section.paths) {
                content += fmt::format("\tmap node={},path={}\n", entry.node, entry.path);
            }
            if (section.description) {
                content += fmt::format("\tdescription {}\n", *section.description);
            }
            content += "\n";
        }
        return content;
    }

    std::string root_;
};

} // namespace vfskit::test

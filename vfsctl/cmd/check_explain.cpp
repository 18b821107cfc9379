// SPDX-License-Identifier: Apache-2.0
#include "core/check/catalogue.h"
#include "vfsctl/cmd/check.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {
namespace {

nlohmann::ordered_json to_json(const check::CatalogueEntry& entry) {
    return {{"code", check::to_string(entry.code)},
            {"severity", check::to_string(entry.severity)},
            {"title", entry.title},
            {"reason", entry.reason},
            {"remedy", entry.remedy}};
}

} // namespace

Result<ExitCode> run_explain(const std::string& code, Services& services) {
    std::vector<const check::CatalogueEntry*> entries;
    if (code == "all") {
        for (const auto& entry : check::catalogue()) {
            entries.push_back(&entry);
        }
    } else {
        VFSKIT_TRY_ASSIGN(const auto* const entry, check::find_entry(code));
        entries.push_back(entry);
    }
    if (services.output.is_json()) {
        auto document = make_document("finding-catalogue");
        document["findings"] = nlohmann::ordered_json::array();
        for (const auto* const entry : entries) {
            document["findings"].push_back(to_json(*entry));
        }
        services.output.print_json(document);
        return ExitCode::ok;
    }
    std::string text;
    for (const auto* const entry : entries) {
        text += fmt::format("{}{} ({}): {}.\n{}\n{}.\n",
                            text.empty() ? "" : "\n",
                            check::to_string(entry->code),
                            check::to_string(entry->severity),
                            entry->title,
                            entry->reason,
                            entry->remedy);
    }
    services.output.print(text);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

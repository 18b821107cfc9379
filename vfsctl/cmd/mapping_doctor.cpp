// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_doctor.h"

#include "core/base/text.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

using store::Finding;
using store::Severity;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view code_prefix = "VFS-M";

Result<std::string> parse_code(std::string_view word) {
    const auto digits = word.substr(std::min(word.size(), code_prefix.size()));
    const auto number = base::parse_unsigned(digits, "the code", store::last_finding_number);
    if (!word.starts_with(code_prefix) || digits.size() != 3 || number.value_or(0U) == 0) {
        return Error{EINVAL, fmt::format("'{}' is no finding's code", word)}.with_remedy(
            "Write it as 'vfsctl mapping doctor' prints it, for example VFS-M003");
    }
    return std::string{word};
}

void bind(MappingDoctorOptions& options, OptionSet& set) {
    set.flag({.name = "--fix",
              .help = "Mend what needs no decision; each file that changes is first copied beside "
                      "itself"},
             options.fix)
        .values({.name = "--only",
                 .value = "CODE",
                 .help = "Report and mend only findings with this code. May be repeated"},
                options.only,
                parse_code)
        .flag({.name = "--dry-run", .help = "Show what --fix would mend and change nothing"},
              options.dry_run);
}

std::string render(const Finding& finding, bool is_mended, const Output& output) {
    const std::string_view state = is_mended ? "mended" : finding.fixable ? "can be mended" : "";
    std::string place;
    if (!finding.place.file.empty()) {
        place = "  at " + printable(finding.place.file);
        place += finding.place.line == 0 ? "\n" : fmt::format(":{}\n", finding.place.line);
    }
    auto text = fmt::format(
        "{} {} {}: {}{}\n{}",
        output.paint(color_of(finding.severity), fmt::format("{:<7}", to_string(finding.severity))),
        finding.code,
        printable(finding.subject),
        with_full_stop(printable(finding.message)),
        state.empty() ? "" : fmt::format(" [{}]", state),
        place);
    if (!is_mended) {
        text += fmt::format("  {}\n", with_full_stop(printable(finding.remedy)));
    }
    return text;
}

ExitCode worst(const std::vector<Finding>& findings) {
    auto code = ExitCode::ok;
    for (const auto& finding : findings) {
        if (finding.severity == Severity::error) {
            return ExitCode::blocker;
        }
        if (finding.severity == Severity::warning) {
            code = ExitCode::warning;
        }
    }
    return code;
}

Json to_json(const Finding& finding, bool is_fixed) {
    Json json{{"code", finding.code},
              {"severity", to_string(finding.severity)},
              {"subject", to_utf8(finding.subject)}};
    json.update(vfsctl::to_json(finding.place));
    json["message"] = to_utf8(finding.message);
    json["remedy"] = to_utf8(finding.remedy);
    json["is-fixable"] = finding.fixable;
    json["is-fixed"] = is_fixed;
    return json;
}

Json to_json(const store::Repair& repair, const std::string& url) {
    auto document = make_document("mapping-doctor");
    document["store"] = url;
    document["revision"] = repair.revision.text;
    document["findings"] = Json::array();
    for (const auto& finding : repair.fixed) {
        document["findings"].push_back(to_json(finding, true));
    }
    for (const auto& finding : repair.left) {
        document["findings"].push_back(to_json(finding, false));
    }
    document["backups"] = repair.backups;
    return document;
}

std::string summary(const store::Repair& repair, const MappingDoctorOptions& options) {
    if (repair.left.empty()) {
        return repair.fixed.empty() ? "Nothing found"
                                    : fmt::format("{} mended", repair.fixed.size());
    }
    const auto fixable = std::ranges::count_if(repair.left, &Finding::fixable);
    auto text = fmt::format("{} found", repair.left.size());
    if (options.fix && !options.dry_run) {
        return fmt::format("{} mended, {} left", repair.fixed.size(), repair.left.size());
    }
    return fixable == 0 ? text
                        : fmt::format("{}, {} of them can be mended with --fix", text, fixable);
}

void print_text(const store::Repair& repair, const MappingDoctorOptions& options, Output& output) {
    for (const auto& finding : repair.fixed) {
        output.print(render(finding, true, output));
    }
    for (const auto& finding : repair.left) {
        output.print(render(finding, false, output));
    }
    for (const auto& backup : repair.backups) {
        output.say(fmt::format("The file as it was is {}", backup));
    }
    output.say(summary(repair, options));
}

} // namespace

Verb mapping_doctor_verb() {
    return make_verb<MappingDoctorOptions>(
        {.path = "mapping doctor",
         .summary = "Find what is wrong with a store, and mend it",
         .description =
             "In a Proxmox VE store also sections that make the file unwritable, methods "
             "that another node deleted, ids that VMs use but nobody defines, stale locks. "
             "Exit status 7 when an error is left, 6 when a warning is.",
         .examples = R"(
vfsctl mapping doctor
vfsctl mapping doctor --fix
vfsctl mapping doctor --store pve:/etc/pve --only VFS-M006 --fix)"},
        bind,
        run_mapping_doctor);
}

Result<ExitCode> run_mapping_doctor(const MappingDoctorOptions& options, Services& services) {
    const auto is_wanted = [&options](const Finding& finding) {
        return options.only.empty() ||
               std::ranges::find(options.only, finding.code) != options.only.end();
    };
    VFSKIT_TRY_ASSIGN(auto diagnosis, store::diagnose(services.store_url));
    store::Repair repair{{}, diagnosis.findings, {}, diagnosis.revision};
    if (options.fix && !options.dry_run) {
        VFSKIT_TRY_ASSIGN(repair, store::repair(diagnosis, is_wanted));
    }
    std::erase_if(repair.left, [&](const Finding& finding) { return !is_wanted(finding); });
    if (services.output.is_json()) {
        services.output.print_json(to_json(repair, diagnosis.url));
    } else {
        print_text(repair, options, services.output);
    }
    return worst(repair.left);
}

} // namespace vfskit::vfsctl

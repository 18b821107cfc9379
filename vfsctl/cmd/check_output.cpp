// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/check_output.h"

#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace vfskit::vfsctl {
namespace {

using check::Finding;
using check::Severity;
using Json = nlohmann::ordered_json;

std::string count(std::size_t number, std::string_view thing) {
    return fmt::format("{} {}{}", number, thing, number == 1 ? "" : "s");
}

/// "2 blockers, 1 warning"
std::string summary(const std::vector<Finding>& findings) {
    std::string text;
    for (const auto severity : {Severity::blocker, Severity::warning, Severity::note}) {
        const auto number =
            static_cast<std::size_t>(std::ranges::count(findings, severity, &Finding::severity));
        if (number > 0) {
            text += (text.empty() ? "" : ", ") + count(number, to_string(severity));
        }
    }
    return text;
}

/// "may go", "would fail" for the heading of a target.
std::string_view outlook(std::optional<Severity> severity) {
    if (severity == Severity::blocker) {
        return "would fail";
    }
    return severity == Severity::warning ? "can be done, with warnings" : "can be done";
}

/// The codes of one severity without their common prefix: "C014 C020".
std::string
codes(const std::vector<Finding>& common, const std::vector<Finding>& there, Severity severity) {
    std::set<check::Code> found;
    for (const auto* const findings : {&common, &there}) {
        for (const auto& finding : *findings) {
            if (finding.severity() == severity) {
                found.insert(finding.code);
            }
        }
    }
    std::string text;
    for (const auto code : found) {
        text += text.empty() ? "" : " ";
        text += check::to_string(code).substr(4);
    }
    return text;
}

std::string cell(const CheckedVm& vm, const check::TargetReport& target) {
    const auto severity = vm.report.worst(&target);
    if (!severity || *severity == Severity::note) {
        return "ok";
    }
    return fmt::format("{} {}",
                       *severity == Severity::blocker ? "no" : "warn",
                       codes(vm.report.findings, target.findings, *severity));
}

} // namespace

ExitCode exit_code_of(std::optional<Severity> severity) {
    if (severity == Severity::blocker) {
        return ExitCode::blocker;
    }
    return severity == Severity::warning ? ExitCode::warning : ExitCode::ok;
}

std::string render(const std::vector<Finding>& findings, const Output& output) {
    std::string text;
    for (const auto& finding : findings) {
        text += fmt::format("  {} {} {}: {}.\n             {}.\n",
                            output.paint(color_of(finding.severity()),
                                         fmt::format("{:<7}", to_string(finding.severity()))),
                            finding.code_text(),
                            printable(finding.subject),
                            printable(finding.sentence),
                            printable(finding.remedy));
    }
    return text;
}

std::string render(const CheckedVm& vm, const Output& output) {
    const auto& report = vm.report;
    auto text = fmt::format("VM '{}' on '{}', {}:\n",
                            printable(report.vm),
                            printable(report.source),
                            vm.operation == check::Operation::live ||
                                    vm.operation == check::Operation::offline
                                ? fmt::format("{} migration", to_string(vm.operation))
                                : std::string{to_string(vm.operation)});
    if (report.source.empty()) {
        text = fmt::format("VM '{}', the target's half:\n", printable(report.vm));
    }
    text += render(report.findings, output);
    if (report.targets.empty() && report.findings.empty()) {
        text += "  nothing found\n";
    }
    for (const auto& target : report.targets) {
        const auto severity = report.worst(&target);
        const auto found = summary(target.findings);
        text += fmt::format(
            "To '{}': {}{}\n",
            printable(target.node),
            output.paint(severity ? color_of(*severity) : Color::green, outlook(severity)),
            found.empty() ? "" : fmt::format(" ({})", found));
        text += render(target.findings, output);
    }
    return text;
}

std::string render_matrix(const std::vector<CheckedVm>& vms, const Output& output) {
    std::set<std::string> nodes;
    for (const auto& vm : vms) {
        for (const auto& target : vm.report.targets) {
            nodes.insert(target.node);
        }
    }
    std::vector<std::string> headings{"VM", "ON"};
    headings.insert(headings.end(), nodes.begin(), nodes.end());
    Table table{headings};
    for (const auto& vm : vms) {
        std::vector<std::string> cells{vm.report.vm, vm.report.source};
        std::vector<Color> colors{Color::none, Color::none};
        for (const auto& node : nodes) {
            const auto target =
                std::ranges::find(vm.report.targets, node, &check::TargetReport::node);
            if (target == vm.report.targets.end()) {
                cells.emplace_back("-");
                colors.push_back(Color::faint);
                continue;
            }
            const auto severity = vm.report.worst(&*target);
            cells.push_back(cell(vm, *target));
            colors.push_back(!severity || *severity == Severity::note ? Color::green
                                                                      : color_of(*severity));
        }
        table.add(cells);
        for (std::size_t column = 0; column < colors.size(); ++column) {
            table.color_last(column, colors[column]);
        }
    }
    return table.render(output);
}

std::string render(const std::vector<FactsOrigin>& origins) {
    std::string text;
    for (const auto& origin : origins) {
        text += origin.origin ? fmt::format("Facts of '{}': {}, {} s old\n",
                                            printable(origin.node),
                                            printable(*origin.origin),
                                            origin.age.count())
                              : fmt::format("No facts of '{}': {}\n",
                                            printable(origin.node),
                                            printable(origin.problem));
    }
    if (!text.empty()) {
        text.pop_back(); // say() ends the line
    }
    return text;
}

std::string verdict(std::optional<Severity> severity) {
    return severity ? std::string{to_string(*severity)} : "ok";
}

Json to_json(const Finding& finding) {
    return {{"code", finding.code_text()},
            {"severity", to_string(finding.severity())},
            {"subject", to_utf8(finding.subject)},
            {"message", to_utf8(finding.sentence)},
            {"remedy", to_utf8(finding.remedy)}};
}

Json to_json(const CheckedVm& vm) {
    const auto list = [](const std::vector<Finding>& findings) {
        auto array = Json::array();
        for (const auto& finding : findings) {
            array.push_back(to_json(finding));
        }
        return array;
    };
    Json json{{"vm", to_utf8(vm.report.vm)}};
    if (!vm.report.source.empty()) {
        json["source"] = to_utf8(vm.report.source);
    }
    json["operation"] = to_string(vm.operation);
    json["verdict"] = verdict(vm.report.worst());
    json["findings"] = list(vm.report.findings);
    json["targets"] = Json::array();
    for (const auto& target : vm.report.targets) {
        json["targets"].push_back({{"node", to_utf8(target.node)},
                                   {"verdict", verdict(vm.report.worst(&target))},
                                   {"findings", list(target.findings)}});
    }
    return json;
}

Json to_json(const std::vector<FactsOrigin>& origins) {
    auto array = Json::array();
    for (const auto& origin : origins) {
        Json json{{"node", to_utf8(origin.node)}};
        if (origin.origin) {
            json["origin"] = to_utf8(*origin.origin);
            json["age-seconds"] = origin.age.count();
        } else {
            json["problem"] = to_utf8(origin.problem);
        }
        array.push_back(std::move(json));
    }
    return array;
}

} // namespace vfskit::vfsctl

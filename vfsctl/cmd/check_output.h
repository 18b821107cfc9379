// SPDX-License-Identifier: Apache-2.0
// How findings look: a page for one VM, a matrix for many, one JSON document for all.
#pragma once

#include "core/check/check.h"
#include "vfsctl/cmd/check_facts.h"
#include "vfsctl/output/output.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// One VM's report and how it was to be moved.
struct CheckedVm {
    check::VmReport report;
    check::Operation operation = check::Operation::live;
};

ExitCode exit_code_of(std::optional<check::Severity> severity);

/// "blocker  VFS-C020 share 'media': There is no … .\n  Mount the … .\n" for each finding.
std::string render(const std::vector<check::Finding>& findings, const Output& output);
/// What there is to say about one VM: anywhere, then per target.
std::string render(const CheckedVm& vm, const Output& output);
/// VMs by nodes; a cell has the codes that stand in the way.
std::string render_matrix(const std::vector<CheckedVm>& vms, const Output& output);
/// Whose facts were used, and how old they are; for nodes without facts why.
std::string render(const std::vector<FactsOrigin>& origins);

/// "ok", "note", "warning" or "blocker".
std::string verdict(std::optional<check::Severity> severity);
nlohmann::ordered_json to_json(const check::Finding& finding);
nlohmann::ordered_json to_json(const CheckedVm& vm);
nlohmann::ordered_json to_json(const std::vector<FactsOrigin>& origins);

} // namespace vfskit::vfsctl

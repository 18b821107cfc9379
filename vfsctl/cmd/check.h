// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/check/migration.h"
#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/check_facts.h"
#include "vfsctl/cmd/check_output.h"
#include "vfsctl/cmd/check_vms.h"

#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// How the VM is to be moved, as options of several verbs.
struct MigrationChoice {
    std::optional<check::Operation> operation; ///< absent: live, offline for a VM that is stopped
    check::Migration migration;
};
void bind_migration_choice(MigrationChoice& choice, OptionSet& set);

struct CheckOptions {
    VmChoice vms;
    std::vector<std::string> targets;
    FactsChoice facts;
    MigrationChoice migration;
    bool target_half = false;
    bool as_pve = false;
    bool is_stopped = false; ///< --pve: the VM does not run
    std::optional<std::string> explain;
};

/// Every VM against every target but the node that it is on.
std::vector<CheckedVm> check_all(const std::vector<PlacedVm>& vms,
                                 const std::set<std::string>& targets,
                                 const check::Cluster& cluster,
                                 const MigrationChoice& choice);

/// The target's half alone, with the facts of `target`; the report has no source.
CheckedVm check_half(const check::Vm& vm,
                     const std::string& target,
                     const check::Cluster& cluster,
                     check::Migration migration);

Verb check_verb();
Result<ExitCode> run_check(const CheckOptions& options, Services& services);

/// check --pve: check_pve.cpp.
Result<ExitCode> run_check_pve(const CheckOptions& options, Services& services);
/// check --explain: check_explain.cpp.
Result<ExitCode> run_explain(const std::string& code, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/check_facts.h"

#include <cstdint>
#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct MigrateOptions {
    std::string domain;
    std::string destination; ///< the node, as the mappings name it
    std::optional<std::string> connect;
    std::optional<std::string> from;            ///< the node that it is on; absent: this one
    std::optional<std::string> destination_uri; ///< absent: qemu+ssh://NODE/system
    std::optional<std::string> migrate_uri;
    std::optional<std::uint64_t> bandwidth_mib;
    std::optional<std::uint32_t> parallel;
    bool auto_converge = false;
    bool transient = false;
    bool undefine_source = false;
    FactsChoice facts;
    bool force = false;
    bool dry_run = false;
};

Verb migrate_verb();
Result<ExitCode> run_migrate(const MigrateOptions& options, Services& services);

} // namespace vfskit::vfsctl

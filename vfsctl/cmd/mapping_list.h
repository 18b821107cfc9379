// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mapping/mapping.h"
#include "vfsctl/cli/verb.h"

#include <optional>

namespace vfskit::vfsctl {

struct MappingListOptions {
    /// Given and empty: those that are not live-migratable.
    std::optional<std::optional<mapping::MigrationMethod>> method;
};

Verb mapping_list_verb();
Result<ExitCode> run_mapping_list(const MappingListOptions& options, Services& services);

} // namespace vfskit::vfsctl

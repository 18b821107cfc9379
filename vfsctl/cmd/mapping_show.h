// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mapping/mapping.h"
#include "vfsctl/cli/verb.h"

#include <string>

namespace vfskit::vfsctl {

struct MappingShowOptions {
    std::string id;
};

Verb mapping_show_verb();
Result<ExitCode> run_mapping_show(const MappingShowOptions& options, Services& services);

/// What the method and the relation mean for a running VM, in a sentence or two.
std::string describe_migration(const mapping::DirectoryMapping& mapping);

} // namespace vfskit::vfsctl

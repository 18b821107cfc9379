// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/mapping_fields.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct MappingSetOptions {
    std::string id;
    std::vector<mapping::NodePath> paths;
    std::vector<std::string> remove_paths; ///< nodes
    MappingFields fields;
    WriteOptions write;
};

Verb mapping_set_verb();
Result<ExitCode> run_mapping_set(const MappingSetOptions& options, Services& services);

} // namespace vfskit::vfsctl

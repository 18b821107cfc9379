// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/mapping_fields.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct MappingAddOptions {
    std::string id;
    std::vector<mapping::NodePath> paths;
    MappingFields fields;
    WriteOptions write;
};

Verb mapping_add_verb();
Result<ExitCode> run_mapping_add(const MappingAddOptions& options, Services& services);

} // namespace vfskit::vfsctl

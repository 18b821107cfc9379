// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/mapping_fields.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct MappingRemoveOptions {
    std::vector<std::string> ids;
    bool force = false;
    WriteOptions write;
};

Verb mapping_remove_verb();
Result<ExitCode> run_mapping_remove(const MappingRemoveOptions& options, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/mapping_fields.h"

#include <string>

namespace vfskit::vfsctl {

struct MappingImportOptions {
    std::string file; ///< "-": standard input
    bool replace = false;
    bool force = false;
    mapping::Rules rules = mapping::Rules::strict;
    WriteOptions write;
};

Verb mapping_import_verb();
Result<ExitCode> run_mapping_import(const MappingImportOptions& options, Services& services);

} // namespace vfskit::vfsctl

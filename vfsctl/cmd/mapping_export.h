// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "vfsctl/cli/verb.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct MappingExportOptions {
    std::vector<std::string> ids; ///< empty: all
};

Verb mapping_export_verb();
Result<ExitCode> run_mapping_export(const MappingExportOptions& options, Services& services);

} // namespace vfskit::vfsctl

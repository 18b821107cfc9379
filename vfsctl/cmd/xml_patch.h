// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/share_options.h"
#include "vfsctl/cmd/xml_options.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct XmlPatchOptions {
    std::string file; ///< "-": standard input
    std::vector<std::string> mappings;
    std::vector<std::string> remove; ///< tags
    bool in_place = false;
    bool dry_run = false;
    TargetOptions target;
    FilesystemVerbOptions filesystem;
    MemoryOptions memory;
    ShareOptions share;
};

Verb xml_patch_verb();
Result<ExitCode> run_xml_patch(const XmlPatchOptions& options, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/share_options.h"
#include "vfsctl/cmd/xml_options.h"

#include <string>

namespace vfskit::vfsctl {

struct XmlFilesystemOptions {
    std::string mapping;
    TargetOptions target;
    FilesystemVerbOptions filesystem;
    ShareOptions share;
};

Verb xml_filesystem_verb();
Result<ExitCode> run_xml_filesystem(const XmlFilesystemOptions& options, Services& services);

} // namespace vfskit::vfsctl

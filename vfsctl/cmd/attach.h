// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/share_options.h"
#include "vfsctl/cmd/xml_options.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct AttachOptions {
    std::string domain;
    std::string mapping;
    std::optional<std::string> connect;
    bool live = false; ///< neither of the two: whatever the domain has
    bool config = false;
    bool dry_run = false;
    FilesystemVerbOptions filesystem;
    ShareOptions share;
};

Verb attach_verb();
Result<ExitCode> run_attach(const AttachOptions& options, Services& services);

} // namespace vfskit::vfsctl

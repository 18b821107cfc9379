// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/guest_mounts.h"

namespace vfskit::vfsctl {

Verb guest_cloud_init_verb();
Result<ExitCode> run_guest_cloud_init(const GuestMountOptions& options, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/domain/guest.h"
#include "vfsctl/cli/verb.h"

#include <string>

namespace vfskit::vfsctl {

struct GuestDracutOptions {
    std::string tag;
    bool plain = false;
    bool readonly = false;
};

Verb guest_dracut_verb();
Result<ExitCode> run_guest_dracut(const GuestDracutOptions& options, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_fstab.h"

#include "vfsctl/services.h"

namespace vfskit::vfsctl {

Verb guest_fstab_verb() {
    return make_verb<GuestMountOptions>(
        {.path = "guest fstab",
         .summary = "Print lines for a guest's /etc/fstab",
         .description =
             "The guest boots on when a share is missing, unless --required says otherwise.",
         .examples = R"(
vfsctl guest fstab media:/srv/media
vfsctl guest fstab media:/srv/media home:/home --option noatime)"},
        bind_guest_mounts,
        run_guest_fstab);
}

Result<ExitCode> run_guest_fstab(const GuestMountOptions& options, Services& services) {
    std::string lines;
    for (const auto& mount : make_mounts(options)) {
        VFSKIT_TRY_ASSIGN(const auto line, domain::fstab_line(mount));
        lines += line;
    }
    print_snippets("fstab", {{"/etc/fstab", lines}}, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_systemd.h"

#include "vfsctl/services.h"

#include <fmt/format.h>

namespace vfskit::vfsctl {

Verb guest_systemd_verb() {
    return make_verb<GuestMountOptions>(
        {.path = "guest systemd",
         .summary = "Print systemd mount units for a guest",
         .description =
             "systemd demands that a unit is named after its mount point: the first line of "
             "each is a comment with the file that it belongs into.",
         .examples = R"(
vfsctl guest systemd media:/srv/media > srv-media.mount
vfsctl guest systemd media:/srv/media --json | jq -r '.snippets[0].file')"},
        bind_guest_mounts,
        run_guest_systemd);
}

Result<ExitCode> run_guest_systemd(const GuestMountOptions& options, Services& services) {
    std::vector<Snippet> snippets;
    for (const auto& mount : make_mounts(options)) {
        VFSKIT_TRY_ASSIGN(const auto unit, domain::systemd_mount_unit(mount));
        const auto file = "/etc/systemd/system/" + unit.name;
        const auto header = services.output.is_json() ? "" : fmt::format("# {}\n", file);
        snippets.push_back({file, header + unit.text});
    }
    print_snippets("systemd", snippets, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

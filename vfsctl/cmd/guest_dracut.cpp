// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_dracut.h"

#include "vfsctl/cmd/guest_mounts.h"
#include "vfsctl/services.h"

namespace vfskit::vfsctl {

namespace {

void bind(GuestDracutOptions& options, OptionSet& set) {
    set.text({.name = "TAG",
              .help = "The share that is the root file system, by its tag",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.tag)
        .flag({.name = "--plain",
               .help = "For a kernel without initramfs: rootfstype=virtiofs root=TAG"},
              options.plain)
        .flag({.name = "--readonly", .help = "Mount the root read-only"}, options.readonly);
}

} // namespace

Verb guest_dracut_verb() {
    return make_verb<GuestDracutOptions>(
        {.path = "guest dracut",
         .summary = "Print the kernel command line that boots from a share",
         .description =
             "For an initramfs with dracut's virtiofs module, or with --plain for a kernel "
             "that has virtiofs built in.",
         .examples = R"(
vfsctl guest dracut rootfs
vfsctl guest dracut rootfs --plain)"},
        bind,
        run_guest_dracut);
}

Result<ExitCode> run_guest_dracut(const GuestDracutOptions& options, Services& services) {
    const auto style = options.plain ? domain::RootStyle::plain : domain::RootStyle::dracut;
    VFSKIT_TRY_ASSIGN(const auto arguments,
                      domain::kernel_root_arguments(options.tag, style, options.readonly));
    print_snippets("kernel-command-line", {{"", arguments + "\n"}}, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

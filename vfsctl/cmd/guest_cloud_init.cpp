// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_cloud_init.h"

#include "vfsctl/services.h"

namespace vfskit::vfsctl {

Verb guest_cloud_init_verb() {
    return make_verb<GuestMountOptions>({.path = "guest cloud-init",
                                         .summary = "Print cloud-init user data that mounts shares",
                                         .examples = R"(
vfsctl guest cloud-init media:/srv/media home:/home > user-data
cloud-localds seed.img user-data)"},
                                        bind_guest_mounts,
                                        run_guest_cloud_init);
}

Result<ExitCode> run_guest_cloud_init(const GuestMountOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto user_data, domain::cloud_init_user_data(make_mounts(options)));
    print_snippets("cloud-init", {{"user-data", user_data}}, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_kubevirt.h"

#include "vfsctl/cmd/guest_mounts.h"
#include "vfsctl/services.h"

namespace vfskit::vfsctl {

namespace {

void bind(GuestKubevirtOptions& options, OptionSet& set) {
    set.text(
           {.name = "INSTANCE", .help = "Name of the VirtualMachineInstance", .is_required = true},
           options.instance)
        .values({.name = "NAME=SOURCE:OBJECT",
                 .help =
                     "A share: its tag in the guest, what it is (pvc, configmap, secret, "
                     "downwardapi, serviceaccount) and the object's name. NAME=OBJECT is a pvc, "
                     "NAME alone a pvc of that name",
                 .is_required = true},
                options.shares,
                parse_kubevirt_share);
}

} // namespace

Result<domain::KubevirtShare> parse_kubevirt_share(std::string_view word) {
    domain::KubevirtShare share;
    const auto equals = word.find('=');
    share.name = word.substr(0, equals);
    share.object = share.name;
    if (equals == std::string_view::npos) {
        return share;
    }
    auto object = word.substr(equals + 1);
    if (const auto colon = object.find(':'); colon != std::string_view::npos) {
        VFSKIT_TRY_ASSIGN(share.source, domain::parse_kubevirt_source(object.substr(0, colon)));
        object.remove_prefix(colon + 1);
    }
    share.object = object;
    return share;
}

Verb guest_kubevirt_verb() {
    return make_verb<GuestKubevirtOptions>(
        {.path = "guest kubevirt",
         .summary = "Print the shares of a KubeVirt VirtualMachineInstance",
         .description =
             "KubeVirt runs virtiofsd itself: a share is a volume of the cluster, not a "
             "directory mapping. The fragment is merged into a manifest; the guest mounts "
             "by NAME.",
         .examples = R"(
vfsctl guest kubevirt vm1 media=media-claim
vfsctl guest kubevirt vm1 media=pvc:media-claim settings=configmap:app-settings)"},
        bind,
        run_guest_kubevirt);
}

Result<ExitCode> run_guest_kubevirt(const GuestKubevirtOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto manifest,
                      domain::kubevirt_instance(options.instance, options.shares));
    print_snippets("kubevirt", {{options.instance + ".yaml", manifest}}, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

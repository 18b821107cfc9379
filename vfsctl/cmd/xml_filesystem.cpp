// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/xml_filesystem.h"

#include "core/domain/rng.h"
#include "vfsctl/output/json.h"

#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

namespace {

void bind(XmlFilesystemOptions& options, OptionSet& set) {
    set.text({.name = "MAPPING",
              .help = "The directory mapping to share",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.mapping);
    bind_target_options(options.target, set);
    bind_filesystem_options(options.filesystem, set);
    bind_share_options(options.share, set);
}

} // namespace

Verb xml_filesystem_verb() {
    return make_verb<XmlFilesystemOptions>(
        {.path = "xml filesystem",
         .summary = "Print the <filesystem> of a mapping for a libvirt domain",
         .description =
             "What the chosen libvirt cannot express is refused, with the way out. What "
             "libvirt finds only when the domain starts is found here: the tag, the queue "
             "size, a directory that is missing on this node, locks, id maps.",
         .examples = R"(
vfsctl xml filesystem media
vfsctl xml filesystem media --node n2 --cache always --readonly --libvirt 11.0
vfsctl xml filesystem media --external --vm web
vfsctl xml filesystem media --driver 9p --multidevs remap)"},
        bind,
        run_xml_filesystem);
}

Result<ExitCode> run_xml_filesystem(const XmlFilesystemOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto shares,
                      make_shares(services, std::span{&options.mapping, 1}, options.share));
    const auto target = make_target(options.target, services);
    VFSKIT_TRY_ASSIGN(const auto plan, make_filesystem(shares.front(), options.filesystem, target));
    const auto xml = domain::filesystem_xml(plan.filesystem);
    if (options.target.validate) {
        VFSKIT_TRY(domain::validate_domain_fragment(xml, domain::Fragment::filesystem));
    }
    if (!services.output.is_json()) {
        services.output.print(xml);
        warn_about(plan.notices, services.output);
        return ExitCode::ok;
    }
    auto document = make_document("xml-filesystem");
    document["mapping"] = shares.front().dirid;
    document["node"] = services.node;
    document["tag"] = shares.front().tag;
    document["libvirt"] = domain::to_string(target.libvirt);
    document["xml"] = to_utf8(xml);
    document["notices"] = to_json(plan.notices);
    services.output.print_json(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

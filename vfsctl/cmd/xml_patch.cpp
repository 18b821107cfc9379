// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/xml_patch.h"

#include "core/base/file.h"
#include "core/domain/patch.h"
#include "core/domain/rng.h"
#include "vfsctl/output/diff.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

void bind(XmlPatchOptions& options, OptionSet& set) {
    set.text({.name = "DOMAIN.xml",
              .help = "The domain, as 'virsh dumpxml --inactive' prints it; '-' for standard input",
              .completes = Completes::file,
              .is_required = true},
             options.file)
        .list({.name = "MAPPING",
               .help = "The directory mappings that the domain shall share",
               .completes = Completes::mapping_id},
              options.mappings)
        .list({.name = "--remove", .value = "TAG", .help = "Take this share away. May be repeated"},
              options.remove)
        .flag({.name = "--in-place", .help = "Write the file instead of standard output"},
              options.in_place)
        .flag({.name = "--dry-run", .help = "Show what would change and change nothing"},
              options.dry_run);
    bind_memory_options(options.memory, set, "--memory-kind");
    bind_target_options(options.target, set);
    bind_filesystem_options(options.filesystem, set);
    bind_share_options(options.share, set);
}

Result<void> check(const XmlPatchOptions& options) {
    if (options.in_place && options.file == "-") {
        return Error{EINVAL, "Standard input cannot be written in place"}.with_remedy(
            "Leave out --in-place, or name a file");
    }
    if (options.mappings.empty() && options.remove.empty() && !options.memory.kind) {
        return Error{EINVAL, "There is nothing to patch"}.with_remedy(
            "Name a mapping, a tag with --remove, or the memory with --memory-kind");
    }
    return {};
}

struct Patch {
    std::string before;
    domain::PatchResult result;
    std::vector<domain::Notice> notices;
};

Result<Patch> make_patch(const XmlPatchOptions& options, Services& services) {
    const auto target = make_target(options.target, services);
    Patch patch;
    domain::PatchRequest request{{}, options.remove, std::nullopt};
    if (!options.mappings.empty()) {
        VFSKIT_TRY_ASSIGN(const auto shares,
                          make_shares(services, options.mappings, options.share));
        for (const auto& share : shares) {
            VFSKIT_TRY_ASSIGN(auto plan, make_filesystem(share, options.filesystem, target));
            request.put.push_back({share.dirid, std::move(plan.filesystem)});
            patch.notices.insert(patch.notices.end(), plan.notices.begin(), plan.notices.end());
        }
    }
    if (options.memory.kind || options.memory.numa) {
        request.memory = to_request(options.memory);
    }
    VFSKIT_TRY_ASSIGN(patch.before, read_input(services, options.file));
    auto result = domain::patch_domain(patch.before, request, target);
    if (!result) {
        return std::move(result).error().at({.file = options.file, .line = 0, .key = {}});
    }
    patch.result = std::move(*result);
    const auto& own = patch.result.notices;
    patch.notices.insert(patch.notices.end(), own.begin(), own.end());
    return patch;
}

void print_document(const XmlPatchOptions& options, const Patch& patch, Output& output) {
    auto document = make_document("xml-patch");
    document["file"] = to_utf8(options.file);
    document["dry-run"] = options.dry_run;
    document["changed"] = patch.result.changed;
    document["xml"] = to_utf8(patch.result.xml);
    document["notices"] = to_json(patch.notices);
    output.print_json(document);
}

void print_text(const XmlPatchOptions& options, const Patch& patch, Output& output) {
    if (options.dry_run) {
        output.print(render_short_diff(patch.before, patch.result.xml, output));
    } else if (!options.in_place) {
        output.print(patch.result.xml);
    }
    if (!patch.result.changed && (options.dry_run || options.in_place)) {
        output.say(fmt::format("Nothing to change in {}", options.file));
    } else if (options.in_place && !options.dry_run) {
        output.say(fmt::format("Patched {}", options.file));
    }
    warn_about(patch.notices, output);
}

} // namespace

Verb xml_patch_verb() {
    return make_verb<XmlPatchOptions>(
        {.path = "xml patch",
         .summary = "Add, update or remove shares in a whole domain",
         .description =
             "Shares are found again by their tag; addresses, comments and everything else "
             "stay as they are, and a second run changes nothing. Memory is made shared "
             "where it is not. The options hold for every mapping of the call.",
         .examples = R"(
virsh dumpxml --inactive web > web.xml
vfsctl xml patch web.xml media home --dry-run
vfsctl xml patch web.xml media home --in-place && virsh define --validate web.xml
vfsctl xml patch web.xml --remove media > without.xml)"},
        bind,
        run_xml_patch);
}

Result<ExitCode> run_xml_patch(const XmlPatchOptions& options, Services& services) {
    VFSKIT_TRY(check(options));
    VFSKIT_TRY_ASSIGN(const auto patch, make_patch(options, services));
    if (options.target.validate) {
        VFSKIT_TRY(domain::validate_domain_xml(patch.result.xml));
    }
    if (options.in_place && !options.dry_run && patch.result.changed) {
        VFSKIT_TRY(base::replace_file(options.file, patch.result.xml));
    }
    if (services.output.is_json()) {
        print_document(options, patch, services.output);
    } else {
        print_text(options, patch, services.output);
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/xml_memory.h"

#include "core/domain/rng.h"
#include "vfsctl/output/json.h"

#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

namespace {

void bind(XmlMemoryOptions& options, OptionSet& set) {
    bind_memory_options(options.memory, set, "--kind");
    set.value({.name = "--libvirt",
               .value = "VERSION",
               .help = "The libvirt that the XML is for. Default: 11.3.0"},
              options.libvirt,
              domain::parse_libvirt_version)
        .flag({.name = "--validate",
               .help = "Check the result with libvirt's own grammar, which must be installed"},
              options.validate);
}

Result<void> validate(const domain::MemoryPlan& plan) {
    if (!plan.memory_backing.empty()) {
        VFSKIT_TRY(domain::validate_domain_fragment(plan.memory_backing,
                                                    domain::Fragment::memory_backing));
    }
    if (!plan.cpu.empty()) {
        VFSKIT_TRY(domain::validate_domain_fragment(plan.cpu, domain::Fragment::cpu));
    }
    return {};
}

} // namespace

Verb xml_memory_verb() {
    return make_verb<XmlMemoryOptions>(
        {.path = "xml memory",
         .summary = "Print the shared memory that a domain needs for its shares",
         .description =
             "Every vhost-user device needs the guest's memory shared. The elements go into "
             "<domain>; a running domain takes them at its next start.",
         .examples = R"(
vfsctl xml memory
vfsctl xml memory --kind hugepages --page-size 2M --memory 4G
vfsctl xml memory --numa --memory 2G --vcpus 2 --libvirt 6.2.0)"},
        bind,
        run_xml_memory);
}

Result<ExitCode> run_xml_memory(const XmlMemoryOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto plan,
                      domain::plan_memory(to_request(options.memory), options.libvirt));
    if (options.validate) {
        VFSKIT_TRY(validate(plan));
    }
    if (!services.output.is_json()) {
        services.output.print(plan.memory_backing + plan.cpu);
        warn_about(plan.notices, services.output);
        return ExitCode::ok;
    }
    auto document = make_document("xml-memory");
    document["libvirt"] = domain::to_string(options.libvirt);
    document["xml"] = plan.memory_backing + plan.cpu;
    if (plan.huge_pages) {
        document["huge-pages"] = *plan.huge_pages;
    }
    document["notices"] = to_json(plan.notices);
    services.output.print_json(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

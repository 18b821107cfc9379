// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/complete_tree.h"

#include "core/base/text.h"
#include "vfsctl/cli/help.h"
#include "vfsctl/cli/parser.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

using Json = nlohmann::ordered_json;

namespace {

void bind(CompleteTreeOptions& /*options*/, OptionSet& /*set*/) {}

Json to_json(const OptionSet& options) {
    Json json = Json::array();
    for (const auto& entry : options.entries()) {
        const auto& spec = entry->spec;
        json.push_back({{"name", spec.name},
                        {"short-name", spec.short_name},
                        {"value", spec.value},
                        {"help", spec.help},
                        {"words", spec.words},
                        {"is-required", spec.is_required},
                        {"is-repeatable", spec.is_repeatable}});
    }
    return json;
}

Json to_json(const Verb& verb) {
    const auto options = verb.make().options;
    return {{"path", verb.path},
            {"summary", verb.summary},
            {"description", verb.description},
            {"examples", base::trim(verb.examples)},
            {"usage", usage_line(verb, *options)},
            {"is-hidden", verb.is_hidden},
            {"options", to_json(*options)}};
}

} // namespace

Verb complete_tree_verb() {
    return make_verb<CompleteTreeOptions>({.path = "complete tree",
                                           .summary = "Print every verb and option as JSON",
                                           .examples = "vfsctl complete tree",
                                           .is_hidden = true},
                                          bind,
                                          run_complete_tree);
}

Result<ExitCode> run_complete_tree(const CompleteTreeOptions& /*options*/, Services& services) {
    GlobalOptions unused;
    auto document = make_document("command-tree");
    document["global-options"] = to_json(make_global_options(unused));
    document["groups"] = Json::array();
    for (const auto& group : services.verbs.groups) {
        document["groups"].push_back({{"name", group.name}, {"summary", group.summary}});
    }
    document["verbs"] = Json::array();
    for (const auto& verb : services.verbs.verbs) {
        document["verbs"].push_back(to_json(verb));
    }
    services.output.print_json(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/complete_words.h"

#include "vfsctl/cli/completion.h"
#include "vfsctl/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace vfskit::vfsctl {

namespace {

void bind(CompleteWordsOptions& options, OptionSet& set) {
    set.list({.name = "WORD", .help = "The words so far; the last one is being typed"},
             options.words);
}

// Completion is silent: a store that cannot be read has nothing to offer.
store::Snapshot read_store(const CompleteWordsOptions& options, Services& services) {
    const auto url = find_option_value(options.words, "--store").value_or(services.store_url);
    auto store = services.environment.open_store(url);
    auto snapshot = store ? (*store)->snapshot() : Result<store::Snapshot>{store::Snapshot{}};
    return snapshot ? std::move(*snapshot) : store::Snapshot{};
}

void add_ids(Completion& completion, const store::Snapshot& snapshot) {
    for (const auto& mapping : snapshot.mappings) {
        if (mapping.id.starts_with(completion.typed)) {
            completion.candidates.push_back(
                {completion.kept + mapping.id, mapping.description.value_or("")});
        }
    }
}

void add_nodes(Completion& completion,
               const store::Snapshot& snapshot,
               const std::string& this_node,
               std::string_view suffix) {
    std::set<std::string> nodes{this_node};
    for (const auto& mapping : snapshot.mappings) {
        for (const auto& entry : mapping.paths) {
            nodes.insert(entry.node);
        }
    }
    for (const auto& node : nodes) {
        if (node.starts_with(completion.typed)) {
            completion.candidates.push_back(
                {fmt::format("{}{}{}", completion.kept, node, suffix), ""});
        }
    }
}

// The directories of this node: the other nodes often have the same.
void add_directories(Completion& completion,
                     const std::string& node_part,
                     const std::string& typed) {
    const auto slash = typed.rfind('/');
    if (slash == std::string::npos) {
        completion.candidates.push_back({completion.kept + node_part + "/", ""});
        return;
    }
    const auto parent = typed.substr(0, slash + 1);
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator{parent, failure}) {
        const auto path = parent + entry.path().filename().string();
        if (path.starts_with(typed) && entry.is_directory(failure)) {
            completion.candidates.push_back({completion.kept + node_part + path + "/", ""});
        }
    }
}

void add_node_paths(Completion& completion,
                    const store::Snapshot& snapshot,
                    const std::string& node) {
    const auto colon = completion.typed.find(':');
    if (completion.typed.starts_with('/')) {
        add_directories(completion, "", completion.typed);
    } else if (colon != std::string::npos) {
        add_directories(
            completion, completion.typed.substr(0, colon + 1), completion.typed.substr(colon + 1));
    } else {
        add_nodes(completion, snapshot, node, ":");
    }
}

std::string directive_of(Completes wanted) {
    switch (wanted) {
    case Completes::file:
        return ":file\n";
    case Completes::directory:
        return ":directory\n";
    case Completes::node_path:
        return ":nospace\n";
    case Completes::nothing:
    case Completes::words:
    case Completes::mapping_id:
    case Completes::node:
        break;
    }
    return "";
}

void add_dynamic(Completion& completion, const CompleteWordsOptions& options, Services& services) {
    switch (completion.wanted) {
    case Completes::mapping_id:
        return add_ids(completion, read_store(options, services));
    case Completes::node:
        return add_nodes(completion, read_store(options, services), services.node, "");
    case Completes::node_path:
        return add_node_paths(completion, read_store(options, services), services.node);
    case Completes::nothing:
    case Completes::words:
    case Completes::file:
    case Completes::directory:
        break;
    }
}

} // namespace

Verb complete_words_verb() {
    return make_verb<CompleteWordsOptions>({.path = "complete words",
                                            .summary = "Print what may follow, for the shells",
                                            .examples = "vfsctl complete words -- mapping sh",
                                            .is_hidden = true},
                                           bind,
                                           run_complete_words);
}

Result<ExitCode> run_complete_words(const CompleteWordsOptions& options, Services& services) {
    auto completion = complete(services.verbs, options.words);
    add_dynamic(completion, options, services);
    std::ranges::sort(completion.candidates, {}, &Candidate::word);
    std::string text = directive_of(completion.wanted);
    for (const auto& [word, description] : completion.candidates) {
        text += printable(word);
        text += description.empty() ? "\n" : fmt::format("\t{}\n", printable(description));
    }
    services.output.print(text);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_fields.h"

#include "core/base/sha1.h"
#include "vfsctl/cmd/mapping_change.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

using mapping::DirectoryMapping;
using mapping::MigrationMethod;
using mapping::NodePath;
using mapping::PathRelation;
using mapping::Rules;

namespace {

const std::vector<std::string> relation_words{"same-directory", "replicas", "none"};

template <class T, class Parse>
auto parse_assignment(const std::vector<std::string>& words, Parse parse) {
    return [&words, parse](std::string_view word) -> Result<Assignment<T>> {
        VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, words));
        if (known == "none") {
            return Assignment<T>{true, std::nullopt};
        }
        VFSKIT_TRY_ASSIGN(const auto value, parse(known));
        return Assignment<T>{true, value};
    };
}

// What one write came to.
struct Outcome {
    std::vector<MappingChange> changes;
    store::Revision before;
    store::Revision after;
    bool is_new_store = false; ///< nothing had been written to it
};

Error moved_on(const std::string& wanted, const store::Revision& current) {
    return Error{
        ESTALE,
        fmt::format("The store is at revision {} and no longer at {}", current.text, wanted)}
        .with_remedy("Look at what changed with 'vfsctl mapping list', then try again with the new "
                     "revision");
}

/// Whether the store has no byte, as one whose url is misspelt: a comment alone is content.
bool is_empty(const store::Snapshot& snapshot) {
    const auto nothing = base::sha1_hex({});
    return snapshot.revision.text == nothing ||
           snapshot.revision.text == fmt::format("{}-{}", nothing, nothing);
}

Result<Outcome>
dry_run(store::MappingStore& store, const WriteOptions& options, const Decide& decide) {
    VFSKIT_TRY_ASSIGN(const auto snapshot, store.snapshot());
    if (options.if_revision && *options.if_revision != snapshot.revision.text) {
        return moved_on(*options.if_revision, snapshot.revision);
    }
    VFSKIT_TRY_ASSIGN(const auto edits, decide(snapshot));
    return Outcome{find_changes(snapshot, edits), snapshot.revision, snapshot.revision};
}

Result<Outcome>
write(store::MappingStore& store, const WriteOptions& options, const Decide& decide) {
    Outcome outcome;
    const auto decide_and_note =
        [&](const store::Snapshot& snapshot) -> Result<std::vector<store::Edit>> {
        if (options.if_revision && *options.if_revision != snapshot.revision.text) {
            return moved_on(*options.if_revision, snapshot.revision);
        }
        VFSKIT_TRY_ASSIGN(auto edits, decide(snapshot));
        outcome.before = snapshot.revision;
        outcome.is_new_store = is_empty(snapshot);
        outcome.changes = find_changes(snapshot, edits);
        // A store of two files notes where they disagree; then a change of nothing that is seen is
        // still to be recorded.
        const bool has_nothing_to_do = outcome.changes.empty() && snapshot.notices.empty();
        return has_nothing_to_do ? std::vector<store::Edit>{} : edits;
    };
    VFSKIT_TRY_ASSIGN(outcome.after, store::update(store, decide_and_note));
    return outcome;
}

nlohmann::ordered_json
document(const Outcome& outcome, const WriteOptions& options, const std::string& url) {
    auto json = make_document("mapping-change");
    json["store"] = url;
    json["dry-run"] = options.dry_run;
    json["revision-before"] = outcome.before.text;
    json["revision"] = outcome.after.text;
    json["changes"] = nlohmann::ordered_json::array();
    for (const auto& change : outcome.changes) {
        json["changes"].push_back(to_json(change));
    }
    return json;
}

std::string capitalised(std::string_view word) {
    std::string text{word};
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
    return text;
}

void report(Output& output,
            const Outcome& outcome,
            const WriteOptions& options,
            const std::string& url) {
    if (output.is_json()) {
        output.print_json(document(outcome, options, url));
        return;
    }
    if (outcome.changes.empty()) {
        output.say(fmt::format("Nothing to change in {}", url));
    }
    for (const auto& change : outcome.changes) {
        const auto id = printable(change.id());
        if (options.dry_run) {
            output.say(fmt::format("'{}' would be {} in {}:", id, change.action(), url));
            output.print(render_diff(change, output));
        } else {
            output.say(fmt::format("{} '{}' in {}", capitalised(change.action()), id, url));
        }
    }
    if (outcome.is_new_store && !options.dry_run && !outcome.changes.empty()) {
        output.say(fmt::format("The store {} is new: nothing stood there before", url));
    }
}

} // namespace

Result<NodePath> parse_node_path(std::string_view word) {
    if (word.starts_with('/')) {
        return NodePath{"", std::string{word}};
    }
    const auto colon = word.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return Error{EINVAL, fmt::format("'{}' is not NODE:PATH", word)}.with_remedy(
            "Write for example n1:/srv/media, or /srv/media for this node");
    }
    return NodePath{std::string{word.substr(0, colon)}, std::string{word.substr(colon + 1)}};
}

void fill_node(std::vector<NodePath>& paths, const std::string& node) {
    for (auto& path : paths) {
        if (path.node.empty()) {
            path.node = node;
        }
    }
}

namespace {

Result<Rules> parse_rules(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, {"strict", "pve"}));
    return known == "pve" ? Rules::pve : Rules::strict;
}

} // namespace

void bind_rules(mapping::Rules& rules, OptionSet& set) {
    set.value({.name = "--rules",
               .value = "RULES",
               .help =
                   "What new values may be: strict (default), or pve: everything that Proxmox VE "
                   "itself allows",
               .completes = Completes::words,
               .words = {"strict", "pve"}},
              rules,
              parse_rules);
}

void bind_mapping_fields(MappingFields& fields, OptionSet& set) {
    set.value({.name = "--method",
               .value = "METHOD",
               .help =
                   "How a running VM's share is migrated: find-paths, file-handles, fd-passing, "
                   "or none: not live-migratable",
               .completes = Completes::words,
               .words = method_words},
              fields.method,
              parse_assignment<MigrationMethod>(method_words, mapping::parse_migration_method))
        .value({.name = "--relation",
                .value = "RELATION",
                .help =
                    "What the nodes' paths are to each other: same-directory (one directory of a "
                    "shared filesystem), replicas (copies), or none: not said, treated as "
                    "replicas",
                .completes = Completes::words,
                .words = relation_words},
               fields.relation,
               parse_assignment<PathRelation>(relation_words, mapping::parse_path_relation))
        .text(
            {.name = "--description", .value = "TEXT", .help = "One line for people; '' for none"},
            fields.description);
    bind_rules(fields.rules, set);
}

void assign(const MappingFields& fields, DirectoryMapping& mapping) {
    if (fields.description) {
        mapping.description =
            fields.description->empty() ? std::nullopt : std::optional{*fields.description};
    }
    if (fields.method.is_given) {
        mapping.live_migration_method = fields.method.value;
    }
    if (fields.relation.is_given) {
        mapping.path_relation = fields.relation.value;
    }
}

void bind_write_options(WriteOptions& options, OptionSet& set) {
    set.flag({.name = "--dry-run", .help = "Show what would change and change nothing"},
             options.dry_run)
        .text({.name = "--if-revision",
               .value = "REVISION",
               .help =
                   "Change nothing unless the store is still at this revision (see 'vfsctl mapping "
                   "list --json')"},
              options.if_revision);
}

Result<ExitCode>
write_mappings(Services& services, const WriteOptions& options, const Decide& decide) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto outcome,
                      options.dry_run ? dry_run(*store, options, decide)
                                      : write(*store, options, decide));
    report(services.output, outcome, options, store->url());
    return ExitCode::ok;
}

Result<void>
validate_new_parts(const DirectoryMapping* current, const DirectoryMapping& wanted, Rules rules) {
    if (current == nullptr) {
        return mapping::validate(wanted, rules);
    }
    for (const auto& entry : wanted.paths) {
        if (std::ranges::find(current->paths, entry) != current->paths.end()) {
            continue;
        }
        VFSKIT_TRY(mapping::validate_node(entry.node, rules));
        VFSKIT_TRY(mapping::validate_path(entry.path, rules));
    }
    if (wanted.description && wanted.description != current->description) {
        VFSKIT_TRY(mapping::validate_description(*wanted.description, rules));
    }
    const bool moves_otherwise = wanted.live_migration_method != current->live_migration_method ||
                                 wanted.path_relation != current->path_relation;
    if (rules == Rules::strict && moves_otherwise) {
        VFSKIT_TRY(mapping::validate_method(wanted));
    }
    return mapping::validate(wanted, Rules::pve);
}

} // namespace vfskit::vfsctl

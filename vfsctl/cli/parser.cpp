// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cli/parser.h"

#include "core/base/text.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

namespace vfskit::vfsctl {

namespace {

Result<ColorMode> parse_color_mode(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto mode, parse_word(word, {"auto", "always", "never"}));
    return mode == "auto"     ? ColorMode::automatic
           : mode == "always" ? ColorMode::always
                              : ColorMode::never;
}

// --- describing the tree to CLI11 ---

// CLI11 2.4 refuses an argument whose name holds one of "=:{ ", as TAG:/MOUNT/POINT; it is our help
// that shows the name, so CLI11 gets another.
std::string cli11_names(const OptionSpec& spec) {
    if (spec.is_argument()) {
        auto name = spec.name;
        std::ranges::replace_if(
            name, [](char c) { return std::strchr("=:{ ", c) != nullptr; }, '_');
        return name;
    }
    return spec.short_name.empty() ? spec.name : spec.short_name + "," + spec.name;
}

void add_to(CLI::App& app, OptionEntry& entry) {
    const auto& spec = entry.spec;
    if (spec.is_flag()) {
        app.add_flag(cli11_names(spec), entry.was_given);
        return;
    }
    auto* option = app.add_option(cli11_names(spec), entry.given);
    option->required(spec.is_required);
    if (!spec.is_argument()) {
        // One word per occurrence; that an option was given twice is judged by OptionSet.
        option->expected(1)->take_all()->allow_extra_args(false);
    } else if (spec.is_repeatable) {
        // At least one also where none is required, else CLI11 does not look for it after "--".
        option->expected(1, -1);
    } else {
        option->expected(1)->allow_extra_args(false);
    }
}

void add_all(CLI::App& app, const OptionSet& options) {
    for (const auto& entry : options.entries()) {
        add_to(app, *entry);
    }
}

void note_given(const OptionSet& options) {
    for (const auto& entry : options.entries()) {
        entry->was_given = entry->was_given || !entry->given.empty();
    }
}

// The CLI11 tree and our values beside it.
struct Tree {
    CLI::App root{"vfsctl"};
    std::map<std::string, CLI::App*> groups;
    std::map<const CLI::App*, const Verb*> verb_of;
    std::map<const Verb*, Invocation> invocations;
};

CLI::App* group_app(Tree& tree, std::string_view name) {
    const std::string group{name};
    auto& app = tree.groups[group];
    if (app != nullptr) {
        return app;
    }
    app = tree.root.add_subcommand(group);
    app->fallthrough();
    app->require_subcommand(1, 1);
    return app;
}

// Whether the words can lead to this verb: each word of its path is among them. The options of all
// others need not be told to CLI11, which copies every name and help text.
bool can_be_meant(const Verb& verb, std::span<const std::string> words) {
    return std::ranges::all_of(base::split(verb.path, ' '), [&](std::string_view step) {
        return std::ranges::find(words, step) != words.end();
    });
}

void add_verb(Tree& tree, const Verb& verb, std::span<const std::string> words) {
    const auto blank = verb.path.find(' ');
    auto* parent = blank == std::string::npos ? &tree.root : group_app(tree, verb.group());
    auto* app = parent->add_subcommand(blank == std::string::npos ? verb.path
                                                                  : verb.path.substr(blank + 1));
    app->fallthrough();
    tree.verb_of[app] = &verb;
    if (!can_be_meant(verb, words)) {
        return;
    }
    auto invocation = verb.make();
    add_all(*app, *invocation.options);
    tree.invocations[&verb] = std::move(invocation);
}

void build(Tree& tree,
           const VerbTable& table,
           const OptionSet& globals,
           std::span<const std::string> words) {
    tree.root.require_subcommand(1, 1);
    add_all(tree.root, globals);
    for (const auto& verb : table.verbs) {
        add_verb(tree, verb, words);
    }
}

// --- what the parser understood so far, for messages ---

const CLI::App* deepest(const CLI::App& root) {
    const auto* app = &root;
    while (!app->get_subcommands().empty()) {
        app = app->get_subcommands().front();
    }
    return app;
}

std::string path_of(const CLI::App& app) {
    std::string path;
    for (const auto* step = &app; step->get_parent() != nullptr; step = step->get_parent()) {
        path = path.empty() ? step->get_name() : step->get_name() + " " + path;
    }
    return path;
}

std::string spoken_name(const CLI::App& app) {
    const auto path = path_of(app);
    return path.empty() ? "vfsctl" : "vfsctl " + path;
}

std::vector<std::string> known_words(const CLI::App& app, bool options) {
    std::vector<std::string> words;
    if (!options) {
        for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
            words.push_back(sub->get_name());
        }
        return words;
    }
    for (const auto* step = &app; step != nullptr; step = step->get_parent()) {
        for (const auto* option : step->get_options()) {
            for (const auto& name : option->get_lnames()) {
                words.push_back("--" + name);
            }
        }
    }
    return words;
}

// What `word` may have been meant for: a misspelling, or an option whose name ends in it, as
// "--direct-io" for "--allow-direct-io".
std::optional<std::string_view> meant(std::string_view word,
                                      const std::vector<std::string_view>& known) {
    if (const auto near = base::nearest(word, known)) {
        return near;
    }
    const auto tail = word.starts_with("--") ? word.substr(1) : word;
    const auto found = std::ranges::find_if(known, [tail](std::string_view name) {
        return tail.size() > 3 && name.size() > tail.size() && name.ends_with(tail);
    });
    return found == known.end() ? std::nullopt : std::optional{*found};
}

Error not_understood(const CLI::App& app, const std::string& word) {
    const bool is_option = word.size() > 1 && word.front() == '-';
    const auto name = word.substr(0, word.find('='));
    const bool has_verbs = !known_words(app, false).empty();
    const auto* what = is_option ? "option" : has_verbs ? "verb" : "argument";
    const auto words = known_words(app, is_option);
    const std::vector<std::string_view> views{words.begin(), words.end()};
    const auto near = meant(name, views);
    return Error{EINVAL, fmt::format("{} has no {} '{}'", spoken_name(app), what, name)}
        .with_remedy(near ? fmt::format("Did you mean '{}'?", *near)
                          : fmt::format("See '{} --help'", spoken_name(app)));
}

// CLI11's own sentence, but for what is missing: there it knows only the name that it was given.
std::string reason_of(const Tree& tree, const CLI::App* app, const CLI::ParseError& failure) {
    const auto verb = tree.verb_of.find(app);
    if (failure.get_exit_code() != static_cast<int>(CLI::ExitCodes::RequiredError) ||
        verb == tree.verb_of.end()) {
        return failure.what();
    }
    const auto& entries = tree.invocations.at(verb->second).options->entries();
    const auto missing = std::ranges::find_if(
        entries, [](const auto& entry) { return entry->spec.is_required && entry->given.empty(); });
    return missing == entries.end() ? failure.what() : (*missing)->spec.name + " is required";
}

// CLI11 checks what is missing before what is too much, but the misspelt word is the better news.
Error explain(const Tree& tree, const CLI::ParseError& failure) {
    const auto* app = deepest(tree.root);
    for (const auto& word : tree.root.remaining(true)) {
        if (word != "--") {
            return not_understood(*app, word);
        }
    }
    const bool wants_verb = !known_words(*app, false).empty();
    const std::string reason = wants_verb ? "A verb is missing" : reason_of(tree, app, failure);
    return Error{EINVAL, fmt::format("{}: {}", spoken_name(*app), reason)}.with_remedy(
        fmt::format("See '{} --help'", spoken_name(*app)));
}

// --- before CLI11 sees the words ---

// "vfsctl help mapping add" is "vfsctl mapping add --help". CLI11 2.1 takes the next word as the
// value of "--option=", so an empty value becomes a word of its own.
std::vector<std::string> normalised(std::span<const std::string> words) {
    std::vector<std::string> result;
    const bool asks_help = !words.empty() && words.front() == "help";
    bool is_literal = false;
    for (const auto& word : words.subspan(asks_help ? 1 : 0)) {
        is_literal = is_literal || word == "--";
        if (!is_literal && word.starts_with("--") && word.find('=') == word.size() - 1) {
            result.push_back(word.substr(0, word.size() - 1));
            result.emplace_back();
        } else {
            result.push_back(word);
        }
    }
    if (asks_help) {
        result.emplace_back("--help");
    }
    return result;
}

} // namespace

OptionSet make_global_options(GlobalOptions& target) {
    OptionSet options;
    options
        .text({.name = "--store",
               .value = "URL",
               .help =
                   "Where the mappings live: yaml:/path, pve:/etc/pve, etcd://host:2379/prefix, or "
                   "a path that ends in .yaml. Without it VFSKIT_STORE, then pve:/etc/pve where "
                   "Proxmox VE's cluster "
                   "filesystem is mounted, then yaml:/etc/vfskit/mappings.yaml",
               .completes = Completes::file},
              target.store)
        .text({.name = "--node",
               .value = "NAME",
               .help = "The node in question. Default: this one, by its host name up to the first "
                       "dot",
               .completes = Completes::node},
              target.node)
        .flag({.name = "--json", .help = "Print one JSON document instead of text"}, target.json)
        .value({.name = "--color",
                .value = "WHEN",
                .help = "Colours: auto (on a terminal, unless NO_COLOR is set), always or never",
                .completes = Completes::words,
                .words = {"auto", "always", "never"}},
               target.color,
               parse_color_mode)
        .flag({.name = "--quiet", .help = "Print results and failures only", .short_name = "-q"},
              target.quiet)
        .flag({.name = "--version", .help = "Print the version and exit"}, target.wants_version);
    return options;
}

Result<CommandLine> parse_command_line(const VerbTable& table, std::span<const std::string> words) {
    CommandLine line;
    auto globals = make_global_options(line.globals);
    Tree tree;
    auto reversed = normalised(words);
    build(tree, table, globals, reversed);
    std::ranges::reverse(reversed);
    bool asks_help = false;
    try {
        tree.root.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        asks_help = true;
    } catch (const CLI::ParseError& failure) {
        note_given(globals);
        VFSKIT_TRY(globals.take_all());
        if (!line.globals.wants_version) {
            return explain(tree, failure);
        }
    }
    note_given(globals);
    VFSKIT_TRY(globals.take_all());
    const auto* app = deepest(tree.root);
    if (asks_help || line.globals.wants_version) {
        line.wants = asks_help ? CommandLine::Wants::help : CommandLine::Wants::version;
        line.help_path = path_of(*app);
        return line;
    }
    line.verb = tree.verb_of.at(app);
    line.invocation = std::move(tree.invocations.at(line.verb));
    note_given(*line.invocation.options);
    if (auto taken = line.invocation.options->take_all(); !taken) {
        return std::move(taken).error().with_remedy(
            fmt::format("See 'vfsctl {} --help'", line.verb->path));
    }
    return line;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// Help is rendered here and not by CLI11, whose layout differs between its versions.
#include "vfsctl/cli/help.h"

#include "core/base/text.h"
#include "vfsctl/cli/parser.h"
#include "vfsctl/output/output.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::vfsctl {

namespace {

constexpr std::size_t widest = 88;
constexpr std::size_t help_column = 26;

std::string wrapped(std::string_view text, std::size_t indent) {
    std::string result;
    std::size_t used = 0;
    for (const auto word : base::split(text, ' ')) {
        if (used != 0 && indent + used + 1 + word.size() > widest) {
            result += "\n" + std::string(indent, ' ');
            used = 0;
        }
        if (used != 0) {
            result += ' ';
            ++used;
        }
        result += word;
        used += word.size();
    }
    return result;
}

std::string paragraphs(std::string_view text) {
    std::string result;
    for (const auto line : base::split(text, '\n')) {
        result += wrapped(line, 0) + "\n";
    }
    return result;
}

std::string entry_line(std::string_view name, std::string_view help) {
    std::string line = fmt::format("  {}", name);
    if (line.size() + 2 > help_column) {
        line += "\n" + std::string(help_column, ' ');
    } else {
        line.append(help_column - line.size(), ' ');
    }
    return line + wrapped(help, help_column) + "\n";
}

std::string option_name(const OptionSpec& spec) {
    const auto name =
        spec.short_name.empty() ? spec.name : fmt::format("{}, {}", spec.short_name, spec.name);
    return spec.value.empty() ? name : fmt::format("{} {}", name, spec.value);
}

std::string section(const Output& output, std::string_view title, const std::string& body) {
    return body.empty() ? "" : fmt::format("\n{}\n{}", output.paint(Color::bold, title), body);
}

std::string entries(const OptionSet& options, bool arguments) {
    std::string text;
    for (const auto& entry : options.entries()) {
        if (entry->spec.is_argument() == arguments) {
            text += entry_line(option_name(entry->spec), entry->spec.help);
        }
    }
    return text;
}

std::string global_entries() {
    GlobalOptions unused;
    return entries(make_global_options(unused), false) +
           entry_line("-h, --help", "Print this help and exit");
}

std::string verb_lines(const VerbTable& table, std::string_view group) {
    std::string text;
    for (const auto& verb : table.verbs) {
        if (!verb.is_hidden && verb.group() == group) {
            text += entry_line(verb.path, verb.summary);
        }
    }
    return text;
}

std::string top_help(const VerbTable& table, const Output& output) {
    std::string groups;
    for (const auto& group : table.groups) {
        groups += entry_line(group.name, group.summary);
    }
    return "Usage: vfsctl [OPTIONS] VERB ...\n\n"
           "Defines directory mappings for virtual machines and prints what to run for them.\n" +
           section(output, "Verbs:", groups) + section(output, "Options:", global_entries()) +
           "\nSee 'vfsctl VERB --help' for each, with examples, and vfsctl(1).\n";
}

std::string group_help(const VerbTable& table, const VerbGroup& group, const Output& output) {
    return fmt::format("Usage: vfsctl {0} VERB [OPTIONS] ...\n\n{1}.\n{2}\nSee 'vfsctl {0} VERB "
                       "--help' for each.\n",
                       group.name,
                       group.summary,
                       section(output, "Verbs:", verb_lines(table, group.name)));
}

std::string verb_help(const Verb& verb, const Output& output) {
    const auto options = verb.make().options;
    std::string examples;
    for (const auto line : base::split(base::trim(verb.examples), '\n')) {
        examples += fmt::format("  {}\n", line);
    }
    return fmt::format("Usage: {}\n\n{}.\n", usage_line(verb, *options), verb.summary) +
           (verb.description.empty() ? "" : "\n" + paragraphs(verb.description)) +
           section(output, "Arguments:", entries(*options, true)) +
           section(output, "Options:", entries(*options, false)) +
           section(output, "Options of every verb:", global_entries()) +
           section(output, "Examples:", examples);
}

} // namespace

std::string usage_line(const Verb& verb, const OptionSet& options) {
    auto line = fmt::format("vfsctl {} [OPTIONS]", verb.path);
    for (const auto& entry : options.entries()) {
        const auto& spec = entry->spec;
        if (spec.is_argument()) {
            const auto name = spec.name + (spec.is_repeatable ? "..." : "");
            line += spec.is_required ? " " + name : fmt::format(" [{}]", name);
        } else if (spec.is_required) {
            line += fmt::format(" {} {}", spec.name, spec.value);
        }
    }
    return line;
}

std::string render_help(const VerbTable& table, std::string_view path, const Output& output) {
    if (const auto* verb = table.find(path); verb != nullptr) {
        return verb_help(*verb, output);
    }
    if (const auto* group = table.find_group(path); group != nullptr) {
        return group_help(table, *group, output);
    }
    return top_help(table, output);
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/program.h"

#include "vfsctl/cli/help.h"
#include "vfsctl/cli/parser.h"
#include "vfsctl/output/json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

bool wants_color(const GlobalOptions& globals, const Environment& environment, bool is_terminal) {
    switch (globals.color.value_or(ColorMode::automatic)) {
    case ColorMode::always:
        return true;
    case ColorMode::never:
        return false;
    case ColorMode::automatic:
        break;
    }
    return is_terminal && environment.variable("NO_COLOR").empty() &&
           environment.variable("TERM") != "dumb";
}

Output make_output(const GlobalOptions& globals, Environment& environment) {
    return Output{environment.out,
                  environment.err,
                  {.json = globals.json,
                   .quiet = globals.quiet,
                   .color_out = wants_color(globals, environment, environment.out_is_terminal),
                   .color_err = wants_color(globals, environment, environment.err_is_terminal),
                   .columns = environment.out_is_terminal ? environment.columns : 0}};
}

// For the report of a command line that could not be parsed.
GlobalOptions guessed_globals(std::span<const std::string> words) {
    const auto end = std::ranges::find(words, "--");
    GlobalOptions globals;
    globals.json = std::find(words.begin(), end, "--json") != end;
    return globals;
}

Services make_services(const CommandLine& line,
                       const VerbTable& table,
                       Environment& environment,
                       Output& output) {
    return Services{environment,
                    output,
                    table,
                    store::choose_store_url(line.globals.store,
                                            environment.variable("VFSKIT_STORE"),
                                            environment.pmxcfs_is_mounted),
                    line.globals.node.value_or(environment.node_name),
                    line.globals.node.has_value()};
}

ExitCode print_version(Output& output) {
    if (output.is_json()) {
        auto document = make_document("version");
        document["vfskit"] = VFSKIT_VERSION;
        output.print_json(document);
    } else {
        output.print("vfsctl " VFSKIT_VERSION "\n");
    }
    return ExitCode::ok;
}

ExitCode
run_verb(CommandLine& line, const VerbTable& table, Environment& environment, Output& output) {
    auto services = make_services(line, table, environment, output);
    auto result = line.invocation.run(services);
    if (result) {
        return *result;
    }
    const auto code = exit_code_for(result.error());
    output.fail(result.error(), code);
    return code;
}

// A pipe that closed early (`| head`) is the reader's choice; a full disk is a failure.
ExitCode flushed(Environment& environment, Output& output, ExitCode code) {
    environment.out.flush();
    if (environment.out.good() || code != ExitCode::ok) {
        return code;
    }
    output.fail(Error{EIO, "Cannot write the result to standard output"}.with_remedy(
                    "Check the space where it goes"),
                ExitCode::failed);
    return ExitCode::failed;
}

} // namespace

ExitCode
run_program(const VerbTable& table, std::span<const std::string> words, Environment& environment) {
    auto line = parse_command_line(table, words);
    if (!line) {
        auto output = make_output(guessed_globals(words), environment);
        output.fail(line.error(), ExitCode::usage);
        return ExitCode::usage;
    }
    auto output = make_output(line->globals, environment);
    switch (line->wants) {
    case CommandLine::Wants::help:
        output.print(render_help(table, line->help_path, output));
        return flushed(environment, output, ExitCode::ok);
    case CommandLine::Wants::version:
        return flushed(environment, output, print_version(output));
    case CommandLine::Wants::run:
        break;
    }
    return flushed(environment, output, run_verb(*line, table, environment, output));
}

} // namespace vfskit::vfsctl

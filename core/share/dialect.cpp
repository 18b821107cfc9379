// SPDX-License-Identifier: Apache-2.0
#include "core/share/dialect.h"

#include "core/base/text.h"
#include "core/share/quick_probe.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

namespace vfskit::share {
namespace {

struct DialectWord {
    Dialect dialect;
    std::string_view word;
    Version newest; ///< what the word alone stands for
};

constexpr std::array<DialectWord, 5> dialect_words{{{Dialect::c_daemon, "c", {7, 2, 0}},
                                                    {Dialect::rust_1_0, "rust-1.0", {1, 10, 1}},
                                                    {Dialect::rust_1_11, "rust-1.11", {1, 13, 3}},
                                                    {Dialect::rust_1_14, "rust-1.14", {1, 14, 0}},
                                                    {Dialect::bundled, "bundled", {1, 14, 0}}}};

Dialect rust_dialect(const Version& version) {
    if (version < Version{1, 11, 0}) {
        return Dialect::rust_1_0;
    }
    return version < Version{1, 14, 0} ? Dialect::rust_1_11 : Dialect::rust_1_14;
}

/// "1.13.2", "1.13" or nothing. Reads as far as digits and dots go, so that "7.2.22 (Debian …)" and
/// "1.15.0-dev" are understood.
std::optional<Version> read_version(std::string_view text) {
    text = text.substr(0, std::min(text.find_first_not_of("0123456789."), text.size()));
    while (text.ends_with('.')) {
        text.remove_suffix(1);
    }
    const auto parts = base::split(text, '.');
    if (parts.size() < 2 || parts.size() > 3) {
        return std::nullopt;
    }
    constexpr std::uint64_t max_part = 9999;
    std::array<int, 3> numbers{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = base::parse_unsigned(parts[i], "Version", max_part);
        if (!number) {
            return std::nullopt;
        }
        numbers[i] = static_cast<int>(*number);
    }
    return Version{.major = numbers[0], .minor = numbers[1], .patch = numbers[2]};
}

bool is_version_character(char c) {
    return (c >= '0' && c <= '9') || c == '.';
}

Error unknown_daemon(std::string_view word) {
    std::array<std::string_view, dialect_words.size()> words;
    std::transform(dialect_words.begin(),
                   dialect_words.end(),
                   words.begin(),
                   [](const auto& entry) { return entry.word; });
    auto error = Error{EINVAL, fmt::format("Daemon \"{}\" is not known", word)};
    if (const auto near = base::nearest(word, words)) {
        return std::move(error).with_remedy(
            fmt::format("Did you mean \"{}\"? Known are {}", *near, fmt::join(words, ", ")));
    }
    return std::move(error).with_remedy(fmt::format(
        "Use one of {}, or a version of virtiofsd such as 1.13.2", fmt::join(words, ", ")));
}

// What the daemons print first (measured on 7.2.22, 1.13.2 and 1.14.0; read in the sources of 1.0
// to 1.6, whose option parser still called the program "virtiofsd backend"):
//   virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)
//   virtiofsd backend 1.4.0
//   virtiofsd 1.14.0
//   virtiofsd 1.14.0 (vfskit 0.1.0)
std::optional<DaemonInfo> read_version_line(std::string_view out) {
    auto line = base::trim(out.substr(0, out.find('\n')));
    constexpr std::string_view name = "virtiofsd ";
    if (!line.starts_with(name)) {
        return std::nullopt;
    }
    line.remove_prefix(name.size());
    constexpr std::string_view c_word = "version ";
    constexpr std::string_view old_word = "backend ";
    const bool is_c = line.starts_with(c_word);
    if (is_c) {
        line.remove_prefix(c_word.size());
    } else if (line.starts_with(old_word)) {
        line.remove_prefix(old_word.size());
    }
    const auto version = read_version(line);
    if (!version.has_value()) {
        return std::nullopt;
    }
    // The C daemon was never older than QEMU 5.0; the Rust one is still 1.x, and what a 2.x will
    // want is not known.
    if (is_c ? version->major < 5 : version->major != 1) {
        return std::nullopt;
    }
    DaemonInfo daemon;
    daemon.version = *version;
    daemon.dialect = is_c ? Dialect::c_daemon : rust_dialect(*version);
    return daemon;
}

// {"type": "fs", "features": ["migrate-precopy", …]}; "features" is absent before 1.11 and in C.
std::optional<std::vector<std::string>> read_features(const std::string& out) {
    const auto json = nlohmann::json::parse(out, nullptr, false);
    if (!json.is_object() || json.value("type", nlohmann::json{}) != "fs") {
        return std::nullopt;
    }
    std::vector<std::string> features;
    const auto list = json.find("features");
    if (list == json.end()) {
        return features;
    }
    for (const auto& feature : *list) {
        if (feature.is_string()) {
            features.push_back(feature.get<std::string>());
        }
    }
    return features;
}

bool is_bundled_feature(std::string_view feature) {
    return feature.starts_with("vfskit-");
}

Error not_virtiofsd(const std::string& program, const base::ProcessOutput& output) {
    constexpr std::size_t max_shown = 80;
    const auto said = base::trim(output.out.empty() ? output.err : output.out);
    const auto first_line = said.substr(0, std::min(said.find('\n'), max_shown));
    return Error{EPROTONOSUPPORT,
                 fmt::format("\"{}\" is no virtiofsd that is known here: it answers --version with "
                             "\"{}\" and exit status {}",
                             program,
                             first_line,
                             output.exit_status)}
        .with_remedy("Name the daemon's dialect or version, or another binary");
}

Result<base::ProcessOutput>
ask(const ProcessRunner& run, const std::string& program, const char* question) {
    auto output = run(ProcessSpec{.program = program, .args = {question}});
    if (!output) {
        return std::move(output)
            .error()
            .under(fmt::format("Asking the daemon for {}", question))
            .with_remedy("Install virtiofsd, name its path, or name its dialect");
    }
    return output;
}

/// What the daemon is that gave these answers.
Result<DaemonInfo> recognise(const std::string& program,
                             const base::ProcessOutput& version,
                             const base::ProcessOutput& capabilities) {
    auto features = read_features(capabilities.out);
    if (!features.has_value()) {
        return not_virtiofsd(program, version);
    }
    auto daemon = read_version_line(version.out);
    if (!daemon.has_value()) {
        // 1.7.1 has no --version (it came back with 1.7.2) but prints its capabilities.
        constexpr int usage_error = 2;
        if (version.exit_status != usage_error || !version.out.empty()) {
            return not_virtiofsd(program, version);
        }
        daemon = DaemonInfo{};
        daemon->version = Version{.major = 1, .minor = 7, .patch = 1};
        daemon->dialect = Dialect::rust_1_0;
    }
    daemon->features = std::move(*features);
    daemon->is_probed = true;
    if (std::any_of(daemon->features.begin(), daemon->features.end(), is_bundled_feature)) {
        daemon->dialect = Dialect::bundled;
    }
    return *daemon;
}

} // namespace

std::string to_string(const Version& version) {
    return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

Result<Version> parse_version(std::string_view text) {
    if (const auto version = read_version(text)) {
        return *version;
    }
    return Error{EINVAL, fmt::format("\"{}\" is no version like 1.13.2", text)};
}

bool DaemonInfo::has_feature(std::string_view feature) const {
    return std::find(features.begin(), features.end(), feature) != features.end();
}

std::string_view to_string(Dialect dialect) {
    const auto* const entry =
        std::find_if(dialect_words.begin(), dialect_words.end(), [dialect](const auto& candidate) {
            return candidate.dialect == dialect;
        });
    return entry != dialect_words.end() ? entry->word : std::string_view{};
}

std::string describe(const DaemonInfo& daemon) {
    switch (daemon.dialect) {
    case Dialect::c_daemon:
        return fmt::format("the C virtiofsd of QEMU {}", to_string(daemon.version));
    case Dialect::rust_1_0:
    case Dialect::rust_1_11:
    case Dialect::rust_1_14:
        return fmt::format("virtiofsd {}", to_string(daemon.version));
    case Dialect::bundled:
        return fmt::format("the bundled virtiofsd {}", to_string(daemon.version));
    }
    return {};
}

Result<DaemonInfo> parse_daemon(std::string_view word) {
    for (const auto& entry : dialect_words) {
        if (entry.word == word) {
            return DaemonInfo{.dialect = entry.dialect,
                              .version = entry.newest,
                              .features = {},
                              .is_probed = false};
        }
    }
    constexpr std::string_view rust_prefix = "rust-";
    const auto asked = word;
    if (word.starts_with(rust_prefix)) {
        word.remove_prefix(rust_prefix.size());
    }
    const bool is_number =
        !word.empty() && std::all_of(word.begin(), word.end(), is_version_character);
    const auto version = is_number ? read_version(word) : std::nullopt;
    if (!version.has_value() || version->major != 1) {
        return unknown_daemon(asked);
    }
    return DaemonInfo{
        .dialect = rust_dialect(*version), .version = *version, .features = {}, .is_probed = false};
}

Result<base::ProcessOutput> run_daemon_query(const ProcessSpec& spec) {
    constexpr std::chrono::seconds limit{5};
    return base::run_and_capture(spec, limit);
}

Result<DaemonInfo> probe(const std::string& program, const ProcessRunner& run) {
    VFSKIT_TRY_ASSIGN(const auto version, ask(run, program, "--version"));
    VFSKIT_TRY_ASSIGN(const auto capabilities, ask(run, program, "--print-capabilities"));
    return recognise(program, version, capabilities);
}

Result<DaemonInfo> probe_quickly(const std::string& program, const ProcessRunner& run) {
    VFSKIT_TRY_ASSIGN(const auto capabilities, ask(run, program, "--print-capabilities"));
    const auto features = read_features(capabilities.out);
    if (features && std::any_of(features->begin(), features->end(), is_bundled_feature)) {
        VFSKIT_TRY_ASSIGN(auto daemon, parse_daemon(to_string(Dialect::bundled)));
        daemon.features = *features;
        daemon.is_probed = true;
        return daemon;
    }
    VFSKIT_TRY_ASSIGN(const auto version, ask(run, program, "--version"));
    return recognise(program, version, capabilities);
}

} // namespace vfskit::share

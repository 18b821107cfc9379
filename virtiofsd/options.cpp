// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/options.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

namespace vfskit::virtiofsd {

namespace {

// The daemon whose command line, exit codes and capabilities this one keeps.
constexpr std::string_view upstream_version = "1.14.0";

template <class T>
struct Word {
    std::string_view text;
    T value;
};

template <class T, std::size_t N>
Result<T> parse_word(std::string_view value, const std::array<Word<T>, N>& words) {
    const std::string wanted = base::to_lower(value);
    std::array<std::string_view, N> known;
    for (std::size_t i = 0; i < N; ++i) {
        if (words[i].text == wanted) {
            return words[i].value;
        }
        known[i] = words[i].text;
    }
    std::string list;
    for (const auto word : known) {
        list += fmt::format("{}{}", list.empty() ? "" : ", ", word);
    }
    Error error{EINVAL, fmt::format("invalid value '{}' [possible values: {}]", value, list)};
    if (const auto near = base::nearest(wanted, known)) {
        return std::move(error).with_remedy(fmt::format("Did you mean '{}'?", *near));
    }
    return error;
}

constexpr std::array<Word<CachePolicy>, 4> cache_words{{{"auto", CachePolicy::automatic},
                                                        {"always", CachePolicy::always},
                                                        {"never", CachePolicy::never},
                                                        {"metadata", CachePolicy::metadata}}};
constexpr std::array<Word<CachePolicy>, 4> legacy_cache_words{
    {{"auto", CachePolicy::automatic},
     {"always", CachePolicy::always},
     {"none", CachePolicy::never},
     {"metadata", CachePolicy::metadata}}};
constexpr std::array<Word<SandboxMode>, 3> sandbox_words{{{"namespace", SandboxMode::namespaces},
                                                          {"chroot", SandboxMode::chroot},
                                                          {"none", SandboxMode::none}}};
constexpr std::array<Word<SandboxMode>, 2> legacy_sandbox_words{
    {{"namespace", SandboxMode::namespaces}, {"chroot", SandboxMode::chroot}}};
constexpr std::array<Word<SeccompAction>, 4> seccomp_words{{{"none", SeccompAction::none},
                                                            {"kill", SeccompAction::kill},
                                                            {"log", SeccompAction::log},
                                                            {"trap", SeccompAction::trap}}};
// "fallback" is upstream's deprecated word for "prefer".
constexpr std::array<Word<InodeFileHandles>, 4> file_handle_words{
    {{"never", InodeFileHandles::never},
     {"prefer", InodeFileHandles::prefer},
     {"mandatory", InodeFileHandles::mandatory},
     {"fallback", InodeFileHandles::prefer}}};
constexpr std::array<Word<Negotiation>, 3> negotiation_words{{{"never", Negotiation::never},
                                                              {"auto", Negotiation::automatic},
                                                              {"always", Negotiation::always}}};
constexpr std::array<Word<MigrationMode>, 2> migration_mode_words{
    {{"find-paths", MigrationMode::find_paths}, {"file-handles", MigrationMode::file_handles}}};
constexpr std::array<Word<OnError>, 2> on_error_words{
    {{"abort", OnError::abort}, {"guest-error", OnError::guest_error}}};

struct LogChoice {
    LogLevel level = LogLevel::info;
    bool off = false;
};
constexpr std::array<Word<LogChoice>, 6> log_words{{{"error", {LogLevel::error, false}},
                                                    {"warn", {LogLevel::warn, false}},
                                                    {"info", {LogLevel::info, false}},
                                                    {"debug", {LogLevel::debug, false}},
                                                    {"trace", {LogLevel::trace, false}},
                                                    {"off", {LogLevel::error, true}}}};
constexpr std::array<Word<LogChoice>, 4> legacy_log_words{{{"debug", {LogLevel::debug, false}},
                                                           {"info", {LogLevel::info, false}},
                                                           {"warn", {LogLevel::warn, false}},
                                                           {"err", {LogLevel::error, false}}}};

void set_log(Options& options, LogChoice choice) {
    options.log_level = choice.level;
    options.log_off = choice.off;
}

// ":inside:outside:count:", any character that is neither letter nor digit as the delimiter.
Result<NamespaceIdRange> parse_id_range(std::string_view value) {
    const auto bad = [&] {
        return Error{
            EINVAL,
            fmt::format("invalid value '{}': it is not ':namespace_id:host_id:count:'", value)};
    };
    if (value.size() < 2 || std::isalnum(static_cast<unsigned char>(value.front())) != 0 ||
        value.back() != value.front()) {
        return bad();
    }
    const auto parts = base::split(value.substr(1, value.size() - 2), value.front());
    if (parts.size() != 3) {
        return bad();
    }
    std::array<std::uint32_t, 3> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto number = base::parse_unsigned(parts[i], "id", UINT32_MAX);
        if (!number) {
            return bad();
        }
        numbers[i] = static_cast<std::uint32_t>(*number);
    }
    return NamespaceIdRange{numbers[0], numbers[1], numbers[2]};
}

// virtio 1.2, 5.11.4: the tag field has 36 bytes, and UTF-8 in it.
Result<std::string> parse_tag(std::string_view value) {
    constexpr std::size_t tag_bytes = 36;
    if (value.empty() || value.size() > tag_bytes || !base::is_valid_utf8(value)) {
        return Error{
            EINVAL,
            fmt::format("invalid value '{}': a tag is 1 to {} bytes of UTF-8", value, tag_bytes)};
    }
    return std::string{value};
}

using Setter = std::function<Result<void>(Options&, std::string_view)>;

enum class ValueRule {
    none,            ///< a flag; "--x=y" is an error
    required,        ///< "--x y" or "--x=y"
    required_equals, ///< only "--x=y"
    optional_equals, ///< "--x" or "--x=y"
};

struct OptionRow {
    std::string_view name;
    ValueRule rule;
    std::string_view value_name;
    std::string_view help;
    Setter set;
};

Setter flag(bool Options::*member, bool value = true) {
    return [member, value](Options& options, std::string_view) -> Result<void> {
        options.*member = value;
        return {};
    };
}

template <class Member>
Setter text(Member Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        options.*member = std::string{value};
        return {};
    };
}

Setter append(std::vector<std::string> Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        (options.*member).emplace_back(value);
        return {};
    };
}

Setter append_range(std::vector<NamespaceIdRange> Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        VFSKIT_TRY_ASSIGN(const auto range, parse_id_range(value));
        (options.*member).push_back(range);
        return {};
    };
}

template <class T, class Member, std::size_t N>
Setter word(Member Options::*member, const std::array<Word<T>, N>& words) {
    return [member, &words](Options& options, std::string_view value) -> Result<void> {
        VFSKIT_TRY_ASSIGN(options.*member, parse_word(value, words));
        return {};
    };
}

template <class Number, class Member>
Setter number(Member Options::*member, Number max) {
    return [member, max](Options& options, std::string_view value) -> Result<void> {
        VFSKIT_TRY_ASSIGN(const auto parsed, base::parse_unsigned(value, "value", max));
        options.*member = static_cast<Number>(parsed);
        return {};
    };
}

Setter negotiation(Negotiation Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        // The bare flag is what daemons before 1.14 had; it means "always".
        if (value.empty()) {
            options.*member = Negotiation::always;
            return {};
        }
        VFSKIT_TRY_ASSIGN(options.*member, parse_word(value, negotiation_words));
        return {};
    };
}

const std::vector<OptionRow>& option_table() {
    using enum ValueRule;
    static const std::vector<OptionRow> table{
        {"shared-dir",
         required,
         "DIR",
         "Directory (or single file) to share",
         text(&Options::shared_dir)},
        {"tag",
         required,
         "TAG",
         "Tag in the device's configuration, for front-ends that ask the back-end",
         [](Options& options, std::string_view value) -> Result<void> {
             VFSKIT_TRY_ASSIGN(options.tag, parse_tag(value));
             return {};
         }},
        {"socket-group", required, "GROUP", "Group of the socket", text(&Options::socket_group)},
        {"socket-path",
         required,
         "PATH",
         "Socket to create and listen on",
         text(&Options::socket_path)},
        {"socket",
         required,
         "PATH",
         "Deprecated spelling of --socket-path",
         [](Options& options, std::string_view value) -> Result<void> {
             options.socket_path = std::string{value};
             options.warnings.emplace_back("The --socket option is deprecated: use --socket-path");
             return {};
         }},
        {"fd",
         required,
         "FD",
         "File descriptor of a listening socket",
         number(&Options::fd, static_cast<int>(INT32_MAX))},
        {"thread-pool-size",
         required,
         "N",
         "Extra threads that execute requests [default: 0]",
         number(&Options::thread_pool_size, std::uint32_t{4096})},
        {"xattr", none, "", "Extended attributes", flag(&Options::xattr)},
        {"posix-acl",
         optional_equals,
         "never|auto|always",
         "POSIX ACLs; implies --xattr [default: never]",
         negotiation(&Options::posix_acl)},
        {"xattrmap",
         required,
         "MAP",
         "Rules that rename extended attributes; implies --xattr",
         text(&Options::xattrmap)},
        {"security-label",
         optional_equals,
         "never|auto|always",
         "SELinux labels for new files; implies --xattr [default: never]",
         negotiation(&Options::security_label)},
        {"sandbox",
         required,
         "namespace|chroot|none",
         "Isolation of the daemon [default: namespace]",
         word(&Options::sandbox, sandbox_words)},
        {"readonly", none, "", "Refuse every change", flag(&Options::readonly)},
        {"seccomp",
         required,
         "none|kill|log|trap",
         "What a forbidden system call does [default: kill]",
         word(&Options::seccomp, seccomp_words)},
        {"announce-submounts",
         none,
         "",
         "Show mounts below the share as mounts [default]",
         flag(&Options::announce_submounts)},
        {"no-announce-submounts", none, "", "Do not", flag(&Options::announce_submounts, false)},
        {"inode-file-handles",
         required_equals,
         "never|prefer|mandatory",
         "Keep file handles instead of open descriptors for inodes [default: prefer]",
         word(&Options::inode_file_handles, file_handle_words)},
        {"cache",
         required,
         "auto|always|metadata|never",
         "What the guest may cache [default: auto]",
         word(&Options::cache, cache_words)},
        {"allow-mmap",
         none,
         "",
         "Allow shared mmap of files opened for direct I/O",
         flag(&Options::allow_mmap)},
        {"no-readdirplus",
         none,
         "",
         "Do not send attributes with directory entries",
         flag(&Options::readdirplus, false)},
        {"writeback",
         none,
         "",
         "Let the guest collect writes before it sends them",
         flag(&Options::writeback)},
        {"allow-direct-io",
         none,
         "",
         "Honour the guest's O_DIRECT",
         flag(&Options::allow_direct_io)},
        {"modcaps",
         required,
         "+CAP:-CAP",
         "Capabilities to keep or drop beside the usual",
         text(&Options::modcaps)},
        {"log-level",
         required,
         "error|warn|info|debug|trace|off",
         "What is logged [default: info]",
         [](Options& options, std::string_view value) -> Result<void> {
             VFSKIT_TRY_ASSIGN(const auto choice, parse_word(value, log_words));
             set_log(options, choice);
             return {};
         }},
        {"syslog", none, "", "Log to syslog instead of stderr", flag(&Options::syslog)},
        {"journal",
         none,
         "",
         "Log to the systemd journal, with structured fields (vfskit)",
         flag(&Options::journal)},
        {"rlimit-nofile",
         required,
         "N",
         "Limit of open files; 0 leaves it as it is",
         number(&Options::rlimit_nofile, UINT64_MAX)},
        {"killpriv-v2",
         none,
         "",
         "Clear setuid and setgid bits when the guest asks [default: no]",
         flag(&Options::killpriv_v2)},
        {"no-killpriv-v2", none, "", "Do not", flag(&Options::killpriv_v2, false)},
        {"uid-map",
         required,
         ":NS:HOST:COUNT:",
         "User ids of the user namespace (unprivileged daemon)",
         append_range(&Options::uid_map)},
        {"gid-map",
         required,
         ":NS:HOST:COUNT:",
         "Group ids of the user namespace (unprivileged daemon)",
         append_range(&Options::gid_map)},
        {"translate-uid",
         required,
         "TYPE:A:B:N",
         "Translate user ids between guest and host",
         append(&Options::translate_uid)},
        {"translate-gid",
         required,
         "TYPE:A:B:N",
         "Translate group ids between guest and host",
         append(&Options::translate_gid)},
        {"preserve-noatime",
         none,
         "",
         "Honour the guest's O_NOATIME",
         flag(&Options::preserve_noatime)},
        {"migration-mode",
         required,
         "find-paths|file-handles",
         "How inodes travel when this daemon is the source [default: find-paths]",
         word(&Options::migration_mode, migration_mode_words)},
        {"migration-on-error",
         required,
         "abort|guest-error",
         "What an inode that cannot be opened does when this daemon is the destination [default: "
         "abort]",
         word(&Options::migration_on_error, on_error_words)},
        {"migration-verify-handles",
         none,
         "",
         "Send file handles along, for the destination to compare",
         flag(&Options::migration_verify_handles)},
        {"migration-confirm-paths",
         none,
         "",
         "Check every path once more at the switch-over",
         flag(&Options::migration_confirm_paths)},
        {"print-capabilities",
         none,
         "",
         "Print what this daemon can do, as JSON, and end",
         flag(&Options::print_capabilities)},
        {"posix-lock",
         none,
         "",
         "Take the guest's fcntl locks on the host (vfskit)",
         flag(&Options::posix_lock)},
        {"flock",
         none,
         "",
         "Take the guest's flock locks on the host (vfskit)",
         flag(&Options::flock)},
        {"keep-listening",
         none,
         "",
         "Serve the next front-end when one has gone (vfskit)",
         flag(&Options::keep_listening)},
        {"control-socket",
         required,
         "PATH",
         "Socket for vfsctl daemon status and top (vfskit)",
         text(&Options::control_socket)},
        {"negative-timeout",
         required,
         "SECONDS",
         "How long the guest may remember that a name does not exist (vfskit) [default: 0]",
         number(&Options::negative_timeout, UINT32_MAX)},
        {"inode-fd-budget",
         required,
         "N",
         "Descriptors kept open for inodes, older ones are reopened on use (vfskit)",
         number(&Options::inode_fd_budget, UINT64_MAX)},
    };
    return table;
}

struct LegacyFlag {
    std::string_view name;
    Setter set;
};

const std::vector<LegacyFlag>& legacy_flags() {
    const auto set_negotiation = [](Negotiation Options::*member, Negotiation value) -> Setter {
        return [member, value](Options& options, std::string_view) -> Result<void> {
            options.*member = value;
            return {};
        };
    };
    static const std::vector<LegacyFlag> table{
        {"xattr", flag(&Options::xattr)},
        {"no_xattr", flag(&Options::xattr, false)},
        {"readdirplus", flag(&Options::readdirplus)},
        {"no_readdirplus", flag(&Options::readdirplus, false)},
        {"writeback", flag(&Options::writeback)},
        {"no_writeback", flag(&Options::writeback, false)},
        {"allow_direct_io", flag(&Options::allow_direct_io)},
        {"no_allow_direct_io", flag(&Options::allow_direct_io, false)},
        {"announce_submounts", flag(&Options::announce_submounts)},
        {"killpriv_v2", flag(&Options::killpriv_v2)},
        {"no_killpriv_v2", flag(&Options::killpriv_v2, false)},
        {"posix_acl", set_negotiation(&Options::posix_acl, Negotiation::always)},
        {"no_posix_acl", set_negotiation(&Options::posix_acl, Negotiation::never)},
        {"security_label", set_negotiation(&Options::security_label, Negotiation::always)},
        {"no_security_label", set_negotiation(&Options::security_label, Negotiation::never)},
        // Upstream accepts only the two negative ones; the positive ones are ours because we have
        // the locks.
        {"posix_lock", flag(&Options::posix_lock)},
        {"no_posix_lock", flag(&Options::posix_lock, false)},
        {"flock", flag(&Options::flock)},
        {"no_flock", flag(&Options::flock, false)},
    };
    return table;
}

Result<void> set_legacy_value(Options& options, std::string_view key, std::string_view value) {
    if (key == "source") {
        options.shared_dir = std::string{value};
    } else if (key == "cache") {
        VFSKIT_TRY_ASSIGN(options.cache, parse_word(value, legacy_cache_words));
    } else if (key == "loglevel") {
        VFSKIT_TRY_ASSIGN(const auto choice, parse_word(value, legacy_log_words));
        set_log(options, choice);
    } else if (key == "sandbox") {
        VFSKIT_TRY_ASSIGN(options.sandbox, parse_word(value, legacy_sandbox_words));
    } else if (key == "modcaps") {
        options.modcaps = std::string{value};
    } else if (key == "xattrmap") {
        options.xattrmap = std::string{value};
    } else {
        return Error{EINVAL, "unknown"};
    }
    return {};
}

// One word of an -o list. Like upstream, a value that holds a second '=' does not match.
Result<void> apply_legacy_word(Options& options, std::string_view argument) {
    const auto parts = base::split(argument, '=');
    Result<void> applied = Error{EINVAL, "unknown"};
    if (parts.size() == 1) {
        const auto& flags = legacy_flags();
        const auto row = std::find_if(flags.begin(), flags.end(), [&](const LegacyFlag& known) {
            return known.name == argument;
        });
        if (row != flags.end()) {
            applied = row->set(options, {});
        }
    } else if (parts.size() == 2) {
        applied = set_legacy_value(options, parts[0], parts[1]);
    }
    if (!applied) {
        return Error{EINVAL, fmt::format("Invalid compat argument '-o {}'", argument)};
    }
    return {};
}

const OptionRow* find_row(std::string_view name) {
    const auto& table = option_table();
    const auto row = std::find_if(
        table.begin(), table.end(), [&](const OptionRow& known) { return known.name == name; });
    return row == table.end() ? nullptr : &*row;
}

Error unknown_option(std::string_view argument, std::string_view name) {
    std::vector<std::string_view> names;
    for (const auto& row : option_table()) {
        names.push_back(row.name);
    }
    Error error{EINVAL, fmt::format("unexpected argument '{}' found", argument)};
    if (const auto near = base::nearest(name, names)) {
        return std::move(error).with_remedy(fmt::format("Did you mean '--{}'?", *near));
    }
    return error;
}

// Walks argv once. -o lists are collected and applied last, because they override the long options.
class Parser {
public:
    Parser(std::span<const std::string> args, Options& options) : args_{args}, options_{options} {}

    Result<void> parse() {
        while (next_ < args_.size()) {
            VFSKIT_TRY(parse_one(args_[next_++]));
        }
        for (const auto& list : legacy_lists_) {
            for (const auto argument : base::split(list, ',')) {
                VFSKIT_TRY(apply_legacy_word(options_, argument));
            }
        }
        return {};
    }

    [[nodiscard]] bool wants_help() const { return wants_help_; }
    [[nodiscard]] bool wants_version() const { return wants_version_; }
    [[nodiscard]] bool saw_option(std::string_view name) const {
        return std::find(seen_.begin(), seen_.end(), name) != seen_.end();
    }

private:
    Result<void> parse_one(std::string_view argument) {
        if (argument.starts_with("--") && argument.size() > 2) {
            return parse_long(argument);
        }
        if (argument == "-h") {
            wants_help_ = true;
        } else if (argument == "-V") {
            wants_version_ = true;
        } else if (argument == "-d") {
            options_.log_level = LogLevel::debug;
            options_.warnings.emplace_back("Use of deprecated flag '-d': use --log-level debug");
        } else if (argument == "-f") {
            options_.warnings.emplace_back(
                "Use of deprecated flag '-f': the daemon never forks away");
        } else if (argument.starts_with("-o")) {
            return parse_legacy(argument);
        } else {
            return unknown_option(argument, argument);
        }
        return {};
    }

    Result<void> parse_legacy(std::string_view argument) {
        auto list = argument.substr(2);
        if (list.empty()) {
            if (next_ == args_.size()) {
                return Error{EINVAL, "a value is required for '-o <LIST>' but none was supplied"};
            }
            list = args_[next_++];
        } else if (list.starts_with('=')) {
            list.remove_prefix(1);
        }
        if (legacy_lists_.empty()) {
            options_.warnings.emplace_back(
                "Use of deprecated option format '-o': please specify options "
                "without it (e.g., '--cache auto' instead of '-o cache=auto')");
        }
        legacy_lists_.emplace_back(list);
        return {};
    }

    Result<void> parse_long(std::string_view argument) {
        const auto equals = argument.find('=');
        const auto name =
            argument.substr(2, equals == std::string_view::npos ? equals : equals - 2);
        if (name == "help" || name == "version") {
            (name == "help" ? wants_help_ : wants_version_) = true;
            return {};
        }
        const OptionRow* row = find_row(name);
        if (row == nullptr) {
            return unknown_option(argument, name);
        }
        std::optional<std::string_view> value;
        if (equals != std::string_view::npos) {
            value = argument.substr(equals + 1);
        }
        VFSKIT_TRY(take_value(*row, value));
        seen_.push_back(row->name);
        auto set = row->set(options_, value.value_or(""));
        if (!set) {
            return std::move(set).error().under(fmt::format("--{}", name));
        }
        return {};
    }

    Result<void> take_value(const OptionRow& row, std::optional<std::string_view>& value) {
        if (row.rule == ValueRule::none && value) {
            return Error{
                EINVAL,
                fmt::format("unexpected value '{}' for '--{}' found; no more were expected",
                            *value,
                            row.name)};
        }
        if (row.rule == ValueRule::required && !value && next_ < args_.size() &&
            !args_[next_].starts_with("-")) {
            value = args_[next_++];
        }
        const bool needs_value =
            row.rule == ValueRule::required || row.rule == ValueRule::required_equals;
        if ((needs_value && !value) || (row.rule == ValueRule::optional_equals && value == "")) {
            return Error{EINVAL,
                         fmt::format("a value is required for '--{}={}' but none was supplied",
                                     row.name,
                                     row.value_name)};
        }
        return {};
    }

    std::span<const std::string> args_;
    Options& options_;
    std::size_t next_ = 0;
    std::vector<std::string_view> legacy_lists_;
    std::vector<std::string_view> seen_;
    bool wants_help_ = false;
    bool wants_version_ = false;
};

// What clap refuses as a conflict or a missing argument: exit status 2.
Result<void> check_required(const Options& options, const Parser& parser) {
    if (options.print_capabilities) {
        return {};
    }
    if (options.fd && (options.socket_path || options.socket_group)) {
        return Error{EINVAL,
                     fmt::format("the argument '--fd <FD>' cannot be used with '--socket-{}'",
                                 options.socket_path ? "path" : "group")};
    }
    if (parser.saw_option("socket") && parser.saw_option("socket-path")) {
        return Error{EINVAL, "the argument '--socket' cannot be used with '--socket-path'"};
    }
    if (options.shared_dir.empty()) {
        return Error{EINVAL, "missing \"--shared-dir\" or \"-o source\" option"};
    }
    return {};
}

void apply_rust_log(Options& options, std::string_view rust_log) {
    if (const auto choice = parse_word(rust_log, log_words); choice && !rust_log.empty()) {
        set_log(options, *choice);
    }
}

} // namespace

Invocation parse_options(std::span<const std::string> args, std::string_view rust_log) {
    Invocation invocation;
    if (args.empty()) {
        return {Invocation::Action::fail, {}, help_text(), 2};
    }
    Parser parser{args, invocation.options};
    auto parsed = parser.parse();
    if (parsed && parser.wants_help()) {
        return {Invocation::Action::print_text, {}, help_text(), 0};
    }
    if (parsed && parser.wants_version()) {
        return {Invocation::Action::print_text, {}, version_text(), 0};
    }
    if (parsed) {
        parsed = check_required(invocation.options, parser);
    }
    if (!parsed) {
        return {
            Invocation::Action::fail,
            {},
            fmt::format(
                "error: {}\n\nUsage: virtiofsd [OPTIONS]\n\nFor more information, try '--help'.\n",
                parsed.error().describe()),
            2};
    }
    if (invocation.options.print_capabilities) {
        return {Invocation::Action::print_text, {}, capabilities_text(), 0};
    }
    // ACLs, labels and a map all travel as extended attributes.
    Options& options = invocation.options;
    options.xattr = options.xattr || options.xattrmap || options.posix_acl != Negotiation::never ||
                    options.security_label != Negotiation::never;
    options.readdirplus = options.readdirplus && options.cache != CachePolicy::never;
    apply_rust_log(options, rust_log);
    return invocation;
}

Result<void> check_combinations(const Options& options, bool is_root) {
    if (!options.uid_map.empty() || !options.gid_map.empty()) {
        if (is_root || options.sandbox != SandboxMode::namespaces) {
            return Error{
                EINVAL,
                "uid_map and gid_map can only be used by an unprivileged user where sandbox "
                "mode is namespace"};
        }
    }
    if (options.sandbox == SandboxMode::chroot && !is_root) {
        return Error{EPERM, "sandbox mode 'chroot' can only be used by root"}.with_remedy(
            "Use '--sandbox namespace' (unprivileged) or '--sandbox none'");
    }
    if (options.migration_mode == MigrationMode::file_handles) {
        if (options.migration_verify_handles || options.migration_confirm_paths) {
            return Error{
                EINVAL,
                fmt::format("--migration-{} can only be used with "
                            "--migration-mode=find-paths",
                            options.migration_verify_handles ? "verify-handles" : "confirm-paths")};
        }
    }
    const bool translates = !options.translate_uid.empty() || !options.translate_gid.empty();
    if (translates && options.posix_acl != Negotiation::never) {
        return Error{EINVAL, "--translate-uid and --translate-gid cannot be used with --posix-acl"}
            .with_remedy("ACLs hold ids that would not be translated; drop one of the two");
    }
    return {};
}

std::string help_text() {
    std::string help =
        "Share a host directory with a guest: a vhost-user-fs back-end (virtio-fs)\n\n"
        "Usage: virtiofsd [OPTIONS]\n\nOptions:\n";
    for (const auto& row : option_table()) {
        std::string left = fmt::format("--{}", row.name);
        switch (row.rule) {
        case ValueRule::none:
            break;
        case ValueRule::required:
            left += fmt::format(" <{}>", row.value_name);
            break;
        case ValueRule::required_equals:
            left += fmt::format("=<{}>", row.value_name);
            break;
        case ValueRule::optional_equals:
            left += fmt::format("[={}]", row.value_name);
            break;
        }
        help += fmt::format("      {}\n          {}\n", left, row.help);
    }
    help += "  -o <LIST>\n          Options in the form that the C daemon had; deprecated\n"
            "  -d, -f\n          Accepted for the C daemon's sake; deprecated\n"
            "  -h, --help\n          Print this\n  -V, --version\n          Print the version\n";
    return help;
}

std::string version_text() {
    return fmt::format("virtiofsd {} (vfskit {})\n", upstream_version, VFSKIT_VERSION);
}

std::string capabilities_text() {
    // Upstream 1.14's four, by which libvirt and Proxmox decide, and ours, by which vfsctl
    // recognises us.
    constexpr std::array<std::string_view, 5> features{"migrate-precopy",
                                                       "posix-acl-negotiation-mode",
                                                       "security-label-negotiation-mode",
                                                       "separate-options",
                                                       "vfskit-control-socket"};
    std::string json = "{\n  \"type\": \"fs\",\n  \"features\": [\n";
    for (std::size_t i = 0; i < features.size(); ++i) {
        json += fmt::format("    \"{}\"{}\n", features[i], i + 1 < features.size() ? "," : "");
    }
    return json + "  ]\n}\n";
}

} // namespace vfskit::virtiofsd

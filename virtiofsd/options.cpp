// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/options.h"

#include "core/base/text.h"
#include "virtiofsd/option_table.h"
#include "virtiofsd/option_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

namespace vfskit::virtiofsd {

namespace {

// The daemon whose command line, exit codes and capabilities this one keeps.
constexpr std::string_view upstream_version = "1.14.0";

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
        while (next_ < args_.size() && request_ == Request::run) {
            VFSKIT_TRY(parse_one(args_[next_++]));
        }
        if (request_ != Request::run) {
            return {};
        }
        for (const auto& list : legacy_lists_) {
            for (const auto argument : base::split(list, ',')) {
                VFSKIT_TRY(apply_legacy_word(options_, argument));
            }
        }
        return {};
    }

    /// What stands first of --help and --version is answered, whatever follows it.
    enum class Request { run, help, version };
    [[nodiscard]] Request request() const { return request_; }

private:
    Result<void> parse_one(std::string_view argument) {
        if (argument == "--") {
            // What follows are operands, of which there are none.
            return next_ == args_.size() ? Result<void>{}
                                         : unknown_option(args_[next_], args_[next_]);
        }
        if (argument.starts_with("--")) {
            return parse_long(argument);
        }
        if (argument.size() < 2 || argument.front() != '-') {
            return unknown_option(argument, argument);
        }
        return parse_short(argument.substr(1));
    }

    // Several letters may share one dash ("-fo LIST").
    Result<void> parse_short(std::string_view letters) {
        while (!letters.empty() && request_ == Request::run) {
            const char letter = letters.front();
            letters.remove_prefix(1);
            switch (letter) {
            case 'h':
                request_ = Request::help;
                break;
            case 'V':
                request_ = Request::version;
                break;
            case 'd':
                options_.log_level = LogLevel::debug;
                options_.warnings.emplace_back(
                    "Use of deprecated flag '-d': use --log-level debug");
                break;
            case 'f':
                options_.warnings.emplace_back(
                    "Use of deprecated flag '-f': the daemon never forks away");
                break;
            case 'o':
                return parse_legacy(letters);
            default:
                return unknown_option(fmt::format("-{}", letter), {});
            }
        }
        return {};
    }

    // `list` is what follows the letter in its own argument.
    Result<void> parse_legacy(std::string_view list) {
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
        std::optional<std::string_view> value;
        if (equals != std::string_view::npos) {
            value = argument.substr(equals + 1);
        }
        if (name == "help" || name == "version") {
            request_ = name == "help" ? Request::help : Request::version;
            return value ? unexpected_value(*value, name) : Result<void>{};
        }
        const OptionRow* row = find_option(name);
        if (row == nullptr) {
            return unknown_option(argument, name);
        }
        VFSKIT_TRY(take_value(*row, value));
        auto set = row->set(options_, value.value_or(""));
        if (!set) {
            return std::move(set).error().under(fmt::format("--{}", name));
        }
        return {};
    }

    static Error unexpected_value(std::string_view value, std::string_view name) {
        return {EINVAL,
                fmt::format(
                    "unexpected value '{}' for '--{}' found; no more were expected", value, name)};
    }

    Result<void> take_value(const OptionRow& row, std::optional<std::string_view>& value) {
        if (row.rule == ValueRule::none && value) {
            return unexpected_value(*value, row.name);
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
    Request request_ = Request::run;
};

void take_deprecated_socket(Options& options) {
    if (options.deprecated_socket && !options.socket_path) {
        options.socket_path = options.deprecated_socket;
        options.warnings.emplace_back("The --socket option is deprecated: use --socket-path");
    }
}

// What clap refuses as a conflict or a missing argument: exit status 2.
Result<void> check_required(const Options& options) {
    if (options.print_capabilities) {
        return {};
    }
    if (options.fd && (options.socket_path || options.socket_group)) {
        return Error{EINVAL,
                     fmt::format("the argument '--fd <FD>' cannot be used with '--socket-{}'",
                                 options.socket_path ? "path" : "group")};
    }
    if (options.shared_dir.empty()) {
        return Error{EINVAL, "missing \"--shared-dir\" or \"-o source\" option"};
    }
    return {};
}

// As env_logger reads it: directives apart by commas, of which one that names the program goes
// before one for all programs. Directives for others are none of our business.
void apply_rust_log(Options& options, std::string_view rust_log) {
    constexpr std::string_view own = "virtiofsd=";
    for (const bool wants_own : {false, true}) {
        for (auto directive : base::split(rust_log, ',')) {
            if (directive.starts_with(own) != wants_own) {
                continue;
            }
            directive.remove_prefix(wants_own ? own.size() : 0);
            if (const auto choice = parse_word(directive, log_words)) {
                set_log(options, *choice);
            }
        }
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
    if (parsed && parser.request() == Parser::Request::help) {
        return {Invocation::Action::print_text, {}, help_text(), 0};
    }
    if (parsed && parser.request() == Parser::Request::version) {
        return {Invocation::Action::print_text, {}, version_text(), 0};
    }
    if (parsed) {
        take_deprecated_socket(invocation.options);
        parsed = check_required(invocation.options);
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
    if (options.migration_socket_dir && options.migration_mode != MigrationMode::fd_passing) {
        return Error{EINVAL,
                     "--migration-socket-dir can only be used with --migration-mode=fd-passing"};
    }
    if (options.migration_mode != MigrationMode::find_paths) {
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
    constexpr std::array<std::string_view, 6> features{"migrate-precopy",
                                                       "posix-acl-negotiation-mode",
                                                       "security-label-negotiation-mode",
                                                       "separate-options",
                                                       "vfskit-control-socket",
                                                       "vfskit-fd-passing"};
    std::string json = "{\n  \"type\": \"fs\",\n  \"features\": [\n";
    for (std::size_t i = 0; i < features.size(); ++i) {
        json += fmt::format("    \"{}\"{}\n", features[i], i + 1 < features.size() ? "," : "");
    }
    return json + "  ]\n}\n";
}

} // namespace vfskit::virtiofsd
// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/option_table.h"

#include "core/base/text.h"
#include "core/option_grammar/id_translation.h"
#include "core/option_grammar/xattr_rules.h"
#include "virtiofsd/option_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

namespace vfskit::virtiofsd {

Setter set_flag(bool Options::*member, bool value) {
    return [member, value](Options& options, std::string_view) -> Result<void> {
        options.*member = value;
        return {};
    };
}

Result<void> set_xattr_map(Options& options, std::string_view value) {
    VFSKIT_TRY(option_grammar::parse_xattr_map(value, option_grammar::WordCase::any));
    options.xattrmap = std::string{value};
    return {};
}

namespace {

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

template <class Member>
Setter text(Member Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        options.*member = std::string{value};
        return {};
    };
}

Setter append_translation(std::vector<std::string> Options::*member) {
    return [member](Options& options, std::string_view value) -> Result<void> {
        VFSKIT_TRY(option_grammar::parse_id_translation(value));
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
        VFSKIT_TRY_ASSIGN(const auto parsed,
                          base::parse_unsigned(value, "value", static_cast<std::uint64_t>(max)));
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

} // namespace

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
             options.deprecated_socket = std::string{value};
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
        {"xattr", none, "", "Extended attributes", set_flag(&Options::xattr)},
        {"posix-acl",
         optional_equals,
         "never|auto|always",
         "POSIX ACLs; implies --xattr [default: never]",
         negotiation(&Options::posix_acl)},
        {"xattrmap",
         required,
         "MAP",
         "Rules that rename extended attributes; implies --xattr",
         set_xattr_map},
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
        {"readonly", none, "", "Refuse every change", set_flag(&Options::readonly)},
        {"seccomp",
         required,
         "none|kill|log|trap",
         "What a forbidden system call does [default: kill]",
         word(&Options::seccomp, seccomp_words)},
        {"announce-submounts",
         none,
         "",
         "Show mounts below the share as mounts [default]",
         set_flag(&Options::announce_submounts)},
        {"no-announce-submounts",
         none,
         "",
         "Do not",
         set_flag(&Options::announce_submounts, false)},
        {"inode-file-handles",
         required_equals,
         "never|prefer|mandatory",
         "Keep file handles instead of open descriptors for inodes [default: prefer]",
         [](Options& options, std::string_view value) -> Result<void> {
             VFSKIT_TRY_ASSIGN(options.inode_file_handles, parse_word(value, file_handle_words));
             if (base::to_lower(value) == "fallback") {
                 options.warnings.emplace_back("Use of deprecated value 'fallback' for "
                                               "'--inode-file-handles': use 'prefer'");
             }
             return {};
         }},
        {"cache",
         required,
         "auto|always|metadata|never",
         "What the guest may cache [default: auto]",
         word(&Options::cache, cache_words)},
        {"allow-mmap",
         none,
         "",
         "Allow shared mmap of files opened for direct I/O",
         set_flag(&Options::allow_mmap)},
        {"no-readdirplus",
         none,
         "",
         "Do not send attributes with directory entries",
         set_flag(&Options::readdirplus, false)},
        {"writeback",
         none,
         "",
         "Let the guest collect writes before it sends them",
         set_flag(&Options::writeback)},
        {"allow-direct-io",
         none,
         "",
         "Honour the guest's O_DIRECT",
         set_flag(&Options::allow_direct_io)},
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
        {"syslog", none, "", "Log to syslog instead of stderr", set_flag(&Options::syslog)},
        {"journal",
         none,
         "",
         "Log to the systemd journal, with structured fields (vfskit)",
         set_flag(&Options::journal)},
        {"rlimit-nofile",
         required,
         "N",
         "Limit of open files; 0 leaves it as it is",
         number(&Options::rlimit_nofile, UINT64_MAX)},
        {"killpriv-v2",
         none,
         "",
         "Clear setuid and setgid bits when the guest asks [default: no]",
         set_flag(&Options::killpriv_v2)},
        {"no-killpriv-v2", none, "", "Do not", set_flag(&Options::killpriv_v2, false)},
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
         append_translation(&Options::translate_uid)},
        {"translate-gid",
         required,
         "TYPE:A:B:N",
         "Translate group ids between guest and host",
         append_translation(&Options::translate_gid)},
        {"preserve-noatime",
         none,
         "",
         "Honour the guest's O_NOATIME",
         set_flag(&Options::preserve_noatime)},
        {"migration-mode",
         required,
         "find-paths|file-handles|fd-passing",
         "How inodes travel when this daemon is the source; fd-passing (vfskit), within one host, "
         "is given to both daemons [default: find-paths]",
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
         set_flag(&Options::migration_verify_handles)},
        {"migration-confirm-paths",
         none,
         "",
         "Check every path once more at the switch-over",
         set_flag(&Options::migration_confirm_paths)},
        {"print-capabilities",
         none,
         "",
         "Print what this daemon can do, as JSON, and end",
         set_flag(&Options::print_capabilities)},
        {"posix-lock",
         none,
         "",
         "Take the guest's fcntl locks on the host (vfskit)",
         set_flag(&Options::posix_lock)},
        {"flock",
         none,
         "",
         "Take the guest's flock locks on the host (vfskit)",
         set_flag(&Options::flock)},
        {"keep-listening",
         none,
         "",
         "Serve the next front-end when one has gone (vfskit)",
         set_flag(&Options::keep_listening)},
        {"control-socket",
         required,
         "PATH",
         "Socket for vfsctl daemon status and top (vfskit)",
         text(&Options::control_socket)},
        {"migration-socket-dir",
         required,
         "DIR",
         "Where the daemons of this host meet for fd-passing (vfskit) [default: "
         "/run/vfskit-migration, or vfskit-migration below $XDG_RUNTIME_DIR]",
         text(&Options::migration_socket_dir)},
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

const OptionRow* find_option(std::string_view name) {
    const auto& table = option_table();
    const auto row = std::find_if(
        table.begin(), table.end(), [&](const OptionRow& known) { return known.name == name; });
    return row == table.end() ? nullptr : &*row;
}

} // namespace vfskit::virtiofsd

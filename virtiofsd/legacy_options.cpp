// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"
#include "virtiofsd/option_table.h"
#include "virtiofsd/option_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::virtiofsd {

namespace {

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
        {"xattr", set_flag(&Options::xattr)},
        {"no_xattr", set_flag(&Options::xattr, false)},
        {"readdirplus", set_flag(&Options::readdirplus)},
        {"no_readdirplus", set_flag(&Options::readdirplus, false)},
        {"writeback", set_flag(&Options::writeback)},
        {"no_writeback", set_flag(&Options::writeback, false)},
        {"allow_direct_io", set_flag(&Options::allow_direct_io)},
        {"no_allow_direct_io", set_flag(&Options::allow_direct_io, false)},
        {"announce_submounts", set_flag(&Options::announce_submounts)},
        {"killpriv_v2", set_flag(&Options::killpriv_v2)},
        {"no_killpriv_v2", set_flag(&Options::killpriv_v2, false)},
        {"posix_acl", set_negotiation(&Options::posix_acl, Negotiation::always)},
        {"no_posix_acl", set_negotiation(&Options::posix_acl, Negotiation::never)},
        {"security_label", set_negotiation(&Options::security_label, Negotiation::always)},
        {"no_security_label", set_negotiation(&Options::security_label, Negotiation::never)},
        // Upstream accepts only the two negative ones; the positive ones are ours because we have
        // the locks.
        {"posix_lock", set_flag(&Options::posix_lock)},
        {"no_posix_lock", set_flag(&Options::posix_lock, false)},
        {"flock", set_flag(&Options::flock)},
        {"no_flock", set_flag(&Options::flock, false)},
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
        VFSKIT_TRY(set_xattr_map(options, value));
    } else {
        return Error{ENOENT, "unknown"};
    }
    return {};
}

} // namespace

Result<void> apply_legacy_word(Options& options, std::string_view argument) {
    const auto parts = base::split(argument, '=');
    Result<void> applied = Error{ENOENT, "unknown"};
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
    if (!applied && applied.error().code() == ENOENT) {
        return Error{EINVAL, fmt::format("Invalid compat argument '-o {}'", argument)};
    }
    if (!applied) {
        return std::move(applied).error().under(
            fmt::format("Invalid compat value '{}' for '-o {}'", parts[1], parts[0]));
    }
    return {};
}

} // namespace vfskit::virtiofsd

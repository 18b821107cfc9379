// SPDX-License-Identifier: Apache-2.0
#include "core/node/daemon_arguments.h"

#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

namespace vfskit::node {

namespace {

using Words = std::span<const std::string>;

/// Flags of no concern here whose next word is not theirs; of an option that is not known at all,
/// the next word is its value unless it begins with a hyphen.
constexpr std::array other_flags{std::string_view{"-d"}, std::string_view{"-f"}};

template <class T>
bool assign(T& target, Result<T> value) {
    if (value) {
        target = *std::move(value);
    }
    return value.has_value();
}

class Parser {
public:
    bool read(Words words) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (!read_word(words, i)) {
                return false;
            }
        }
        return std::ranges::all_of(compatible_, [&](const auto& list) { return read_list(list); });
    }

    DaemonArguments take() {
        auto& options = arguments_.options;
        options.xattr = options.xattr || options.xattrmap ||
                        options.posix_acl != share::Negotiation::never ||
                        options.security_label != share::Negotiation::never;
        return std::move(arguments_);
    }

private:
    bool read_word(Words words, std::size_t& i) {
        const std::string_view word{words[i]};
        const auto equals = word.starts_with("--") ? word.find('=') : std::string_view::npos;
        const auto name = word.substr(0, equals);
        if (name.starts_with("-o")) {
            return read_compatible(words, i);
        }
        if (is_flag(name)) {
            return equals == std::string_view::npos ? set_flag(name)
                                                    : set_mode(name, word.substr(equals + 1));
        }
        if (!name.starts_with("--")) {
            return false;
        }
        if (equals != std::string_view::npos) {
            return set_value(name, word.substr(equals + 1));
        }
        const bool has_value = i + 1 < words.size() && !words[i + 1].starts_with('-');
        return has_value ? set_value(name, words[++i]) : !needs_value(name);
    }

    bool read_compatible(Words words, std::size_t& i) {
        const std::string_view word{words[i]};
        if (word.size() > 2) {
            compatible_.emplace_back(word.substr(word[2] == '=' ? 3 : 2));
            return true;
        }
        if (i + 1 >= words.size()) {
            return false;
        }
        compatible_.push_back(words[++i]);
        return true;
    }

    static bool is_flag(std::string_view name) {
        constexpr std::array ours{std::string_view{"--xattr"},
                                  std::string_view{"--posix-acl"},
                                  std::string_view{"--security-label"},
                                  std::string_view{"--readonly"},
                                  std::string_view{"--announce-submounts"},
                                  std::string_view{"--no-announce-submounts"},
                                  std::string_view{"--allow-direct-io"},
                                  std::string_view{"--allow-mmap"},
                                  std::string_view{"--writeback"},
                                  std::string_view{"--migration-verify-handles"},
                                  std::string_view{"--migration-confirm-paths"}};
        return std::ranges::find(ours, name) != ours.end() ||
               std::ranges::find(other_flags, name) != other_flags.end();
    }

    bool set_flag(std::string_view name) {
        auto& options = arguments_.options;
        if (name == "--xattr") {
            options.xattr = true;
        } else if (name == "--posix-acl") {
            options.posix_acl = share::Negotiation::always;
        } else if (name == "--security-label") {
            options.security_label = share::Negotiation::always;
        } else if (name == "--readonly") {
            options.readonly = true;
        } else if (name == "--announce-submounts" || name == "--no-announce-submounts") {
            options.announce_submounts = name == "--announce-submounts";
        } else if (name == "--allow-direct-io") {
            options.allow_direct_io = true;
        } else if (name == "--allow-mmap") {
            options.allow_mmap = true;
        } else if (name == "--writeback") {
            options.writeback = true;
        } else if (name == "--migration-verify-handles") {
            options.verify_handles = true;
        } else if (name == "--migration-confirm-paths") {
            options.confirm_paths = true;
        }
        return true;
    }

    /// Flags that became three-valued with 1.14.
    bool set_mode(std::string_view name, std::string_view value) {
        if (name == "--posix-acl") {
            return assign(arguments_.options.posix_acl, share::parse_negotiation(value));
        }
        return name == "--security-label" &&
               assign(arguments_.options.security_label, share::parse_negotiation(value));
    }

    static bool needs_value(std::string_view name) {
        constexpr std::array known{std::string_view{"--shared-dir"},
                                   std::string_view{"--tag"},
                                   std::string_view{"--socket-path"},
                                   std::string_view{"--control-socket"},
                                   std::string_view{"--cache"},
                                   std::string_view{"--sandbox"},
                                   std::string_view{"--migration-mode"},
                                   std::string_view{"--migration-on-error"},
                                   std::string_view{"--modcaps"},
                                   std::string_view{"--xattrmap"}};
        return std::ranges::find(known, name) != known.end();
    }

    /// True for an option that is of no concern here, too.
    bool set_value(std::string_view name, std::string_view value) {
        if (name == "--shared-dir") {
            arguments_.shared_dir = value;
        } else if (name == "--tag") {
            arguments_.tag = value;
        } else if (name == "--socket-path" || name == "--socket") {
            arguments_.socket = value;
        } else if (name == "--control-socket") {
            arguments_.control_socket = value;
        } else {
            return set_option(name, value);
        }
        return true;
    }

    bool set_option(std::string_view name, std::string_view value) {
        auto& options = arguments_.options;
        // The daemon reads these words without regard to case.
        const auto word = base::to_lower(value);
        if (name == "--cache") {
            return assign(options.cache, share::parse_cache_policy(word));
        }
        if (name == "--sandbox") {
            return assign(options.sandbox, share::parse_sandbox_mode(word));
        }
        if (name == "--inode-file-handles") {
            return assign(options.inode_file_handles.emplace(),
                          share::parse_inode_file_handles(word == "fallback" ? "prefer" : word));
        }
        if (name == "--migration-mode") {
            options.is_method_explicit = true;
            return assign(options.method, mapping::parse_migration_method(word));
        }
        if (name == "--migration-on-error") {
            return assign(options.on_error, share::parse_on_error(word));
        }
        if (name == "--thread-pool-size") {
            const auto size = base::parse_unsigned(
                value, "Thread pool size", std::numeric_limits<std::uint32_t>::max());
            options.thread_pool_size =
                size ? std::optional{static_cast<std::uint32_t>(*size)} : std::nullopt;
            return size.has_value();
        }
        if (name == "--xattrmap") {
            options.xattrmap = value;
        } else if (name == "--modcaps") {
            options.modcaps = value;
        } else if (name == "--translate-uid") {
            options.translate_uid.emplace_back(value);
        } else if (name == "--translate-gid") {
            options.translate_gid.emplace_back(value);
        }
        return true;
    }

    bool read_list(const std::string& list) {
        const auto parts = base::split(list, ',');
        return std::ranges::all_of(parts, [&](auto part) { return set_compatible(part); });
    }

    bool set_compatible(std::string_view part) {
        auto& options = arguments_.options;
        const auto equals = part.find('=');
        if (equals != std::string_view::npos) {
            const auto name = part.substr(0, equals);
            const auto value = part.substr(equals + 1);
            if (name == "source") {
                arguments_.shared_dir = value;
                return true;
            }
            if (name == "cache") {
                return set_option("--cache", value == "none" ? "never" : value);
            }
            return name == "loglevel" || name == "log_level" || name == "timeout" ||
                   set_option("--" + std::string{name}, value);
        }
        const bool on = !part.starts_with("no_");
        const auto name = on ? part : part.substr(3);
        if (name == "xattr") {
            options.xattr = on;
        } else if (name == "writeback") {
            options.writeback = on;
        } else if (name == "allow_direct_io") {
            options.allow_direct_io = on;
        } else if (name == "announce_submounts") {
            options.announce_submounts = on;
        } else if (name == "posix_acl" || name == "security_label") {
            (name == "posix_acl" ? options.posix_acl : options.security_label) =
                on ? share::Negotiation::always : share::Negotiation::never;
        } else {
            return name == "readdirplus" || name == "killpriv_v2" || name == "posix_lock" ||
                   name == "flock" || name == "debug";
        }
        return true;
    }

    DaemonArguments arguments_;
    std::vector<std::string> compatible_;
};

} // namespace

std::optional<DaemonArguments> parse_daemon_arguments(std::span<const std::string> argv) {
    Parser parser;
    if (!parser.read(argv)) {
        return std::nullopt;
    }
    return parser.take();
}

} // namespace vfskit::node

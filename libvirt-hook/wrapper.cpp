// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/wrapper.h"

#include "core/base/text.h"
#include "core/share/daemon_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace vfskit::libvirt_hook {

namespace {

bool is_question(const std::string& word) {
    return word == "--print-capabilities" || word == "--version" || word == "-V" ||
           word == "--help" || word == "-h";
}

// --shared-dir DIR, --shared-dir=DIR, or source=DIR of -o.
std::optional<std::string> shared_dir_of(const std::vector<std::string>& args) {
    constexpr std::string_view option = "--shared-dir";
    std::optional<std::string> found;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const std::string_view word = args[i];
        if (word == option && i + 1 < args.size()) {
            found = args[i + 1];
        } else if (word.starts_with("--shared-dir=")) {
            found = word.substr(option.size() + 1);
        } else if (word == "-o" && i + 1 < args.size()) {
            for (const auto part : base::split(args[i + 1], ',')) {
                if (part.starts_with("source=")) {
                    found = part.substr(std::string_view{"source="}.size());
                }
            }
        }
    }
    return found;
}

std::string_view without_final_slash(std::string_view path) {
    while (path.size() > 1 && path.back() == '/') {
        path.remove_suffix(1);
    }
    return path;
}

// The share of the mapping that has this directory here. With several, they must agree.
Result<std::optional<share::Share>>
find_share(const store::Snapshot& snapshot, const std::string& node, const std::string& directory) {
    std::optional<share::Share> found;
    for (const auto& mapping : snapshot.mappings) {
        const auto path = mapping::find_path(mapping, node);
        if (!path || without_final_slash(*path) != without_final_slash(directory)) {
            continue;
        }
        VFSKIT_TRY_ASSIGN(auto share, share::make_share(mapping, node));
        if (found &&
            (found->method != share.method || found->path_relation != share.path_relation)) {
            return Error{EINVAL,
                         fmt::format("The mappings '{}' and '{}' of '{}' differ in their "
                                     "live-migration method, so neither is used",
                                     found->dirid,
                                     share.dirid,
                                     directory)}
                .with_remedy("Give them the same one, or let vfskit start the daemons");
        }
        found = std::move(share);
    }
    return found;
}

Result<std::vector<std::string>> find_options(const std::string& directory,
                                              const WrapperWorld& world) {
    VFSKIT_TRY_ASSIGN(const auto snapshot, world.read_store());
    VFSKIT_TRY_ASSIGN(const auto share, find_share(snapshot, world.node, directory));
    if (!share || !share->method) {
        return std::vector<std::string>{};
    }
    VFSKIT_TRY_ASSIGN(const auto daemon, world.probe(world.config.daemon));
    return share::migration_arguments(*share, daemon);
}

} // namespace

WrappedDaemon wrap_daemon(const std::vector<std::string>& args, const WrapperWorld& world) {
    WrappedDaemon wrapped{{.program = world.config.daemon, .args = args}, {}};
    const auto directory = shared_dir_of(args);
    const bool is_complete = std::ranges::any_of(args, [](const std::string& word) {
        return is_question(word) || word.starts_with("--migration-mode");
    });
    if (is_complete || !directory) {
        return wrapped;
    }
    const auto options = find_options(*directory, world);
    if (options) {
        wrapped.spec.args.insert(wrapped.spec.args.end(), options->begin(), options->end());
    } else {
        wrapped.warning = fmt::format("vfskit-virtiofsd: the live-migration method of '{}' is not "
                                      "known, the daemon's default is used: {}",
                                      *directory,
                                      options.error().describe());
    }
    return wrapped;
}

} // namespace vfskit::libvirt_hook

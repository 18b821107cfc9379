// SPDX-License-Identifier: Apache-2.0
// Whether both ends have one directory, where the method or the mapping says so.
#include "core/check/rules.h"
#include "core/share/capabilities.h"

#include <fmt/format.h>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;

/// A running daemon has the capability if it was told to keep it, or needs it for its inodes (with
/// ours: or for its own method), as upstream's does by default since 1.13.3.
bool may_open_handles(const Server& server) {
    if (server.daemon == nullptr || !server.daemon->options) {
        return true; // it is started as the method wants it
    }
    const auto& options = *server.daemon->options;
    const auto changes = share::parse_capability_changes(options.modcaps.value_or("+chown"));
    if (changes && share::adds_capability(*changes, "dac_read_search")) {
        return true;
    }
    if (options.inode_file_handles) {
        return options.inode_file_handles != share::InodeFileHandles::never ||
               (server.kind() == node::BinaryKind::bundled &&
                options.method == MigrationMethod::file_handles);
    }
    constexpr node::Version handles_by_default{1, 13, 3};
    return server.kind() == node::BinaryKind::bundled ||
           server.daemon->version.value_or(handles_by_default) >= handles_by_default;
}

/// `server`: who must open them here; nullptr at the source, which only asks for them.
void judge_handles(const ShareScene& share,
                   const End& end,
                   const node::PathFacts& facts,
                   const Server* server,
                   std::vector<Finding>& findings) {
    const auto subject = [&share] { return subject_of(*share.share); };
    if (facts.name_to_handle_works == false) {
        add(findings,
            Code::file_handles_unsupported,
            subject(),
            fmt::format("'{}' on '{}' ({}) gives no file handles",
                        facts.path,
                        end.name,
                        facts.fs_type.value_or("unknown filesystem")));
        return;
    }
    if (!facts.name_to_handle_works) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format(
                "Whether '{}' on '{}' gives file handles is not known", facts.path, end.name));
        return;
    }
    if (server == nullptr) {
        return;
    }
    if (end.facts()->has_dac_read_search == false || !may_open_handles(*server)) {
        add(findings,
            Code::capability_missing,
            subject(),
            fmt::format("{} '{}' has no CAP_DAC_READ_SEARCH to open file handles with",
                        server->daemon != nullptr ? "Its daemon on" : "What would serve it on",
                        end.name));
    } else if (facts.open_by_handle_works == false) {
        add(findings,
            Code::file_handles_unsupported,
            subject(),
            fmt::format("File handles of '{}' on '{}' ({}) cannot be opened",
                        facts.path,
                        end.name,
                        facts.fs_type.value_or("unknown filesystem")));
    } else if (!facts.open_by_handle_works) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format("Whether file handles of '{}' on '{}' can be opened is not known",
                        facts.path,
                        end.name));
    }
}

std::string both(const ShareScene& share,
                 const Scene& scene,
                 const End& target,
                 std::string_view path,
                 std::string_view what,
                 std::string_view why) {
    return fmt::format("'{}' on '{}' and '{}' on '{}' {}: {}",
                       *share.source_path.path,
                       scene.source.name,
                       path,
                       target.name,
                       what,
                       why);
}

void judge_sameness(const Scene& scene,
                    const ShareScene& share,
                    const End& target,
                    const node::PathFacts& there,
                    std::vector<Finding>& findings) {
    const auto proof =
        compare(*scene.source.facts(), *share.source_path.facts, *target.facts(), there);
    const bool needs_one = share.method && *share.method != MigrationMethod::find_paths;
    const bool declares_one = share.mapping->path_relation == PathRelation::same_directory;
    const auto report = [&](Code code, std::string_view what) {
        add(findings,
            code,
            subject_of(*share.share),
            both(share, scene, target, there.path, what, proof.why));
    };
    if (proof.sameness == Sameness::same) {
        return;
    }
    if (proof.sameness == Sameness::different) {
        if (needs_one) {
            report(Code::different_directories, "are two directories");
        } else if (declares_one) {
            report(Code::declared_same_but_different, "are two directories");
        }
    } else if (needs_one) {
        report(Code::same_directory_unproved, "are not proved to be one directory");
    } else if (declares_one) {
        report(Code::declared_same_unproved, "are not proved to be one directory");
    }
    if (!needs_one && !declares_one && share.verifies_handles) {
        report(Code::replicas_verify_handles,
               "are not one directory, and its daemon has file handles compared");
    } else if (!needs_one && !declares_one && share.method) {
        report(Code::copies_not_compared, "are not proved to be one directory");
    }
    const bool caches_all = share.share->cache == share::CachePolicy::always ||
                            (share.daemon != nullptr && share.daemon->options &&
                             share.daemon->options->cache == share::CachePolicy::always);
    if (!declares_one && caches_all) {
        report(Code::cache_always_with_replicas, "may be copies, and the share has cache=always");
    }
}

} // namespace

void judge_identity(const Scene& scene,
                    const ShareScene& share,
                    const End& target,
                    std::vector<Finding>& findings) {
    if (share.mapping == nullptr || !scene.migration->moves_state() || target.node == nullptr) {
        return;
    }
    const auto path = scene.cluster->path_of(*share.mapping, target.name, target.node);
    const bool uses_handles = share.method == MigrationMethod::file_handles;
    if (path.facts != nullptr && uses_handles) {
        const auto server = find_server(scene, *share.share, target);
        judge_handles(share, target, *path.facts, &server, findings);
    }
    if (scene.source.node == nullptr) {
        return; // the target's half alone
    }
    if (share.source_path.facts != nullptr && uses_handles) {
        judge_handles(share, scene.source, *share.source_path.facts, nullptr, findings);
    }
    if (path.facts != nullptr && share.source_path.facts != nullptr) {
        judge_sameness(scene, share, target, *path.facts, findings);
    } else if (path.path != nullptr && share.source_path.path != nullptr &&
               share.source_path.facts == nullptr) {
        add(findings,
            Code::deciding_fact_unknown,
            subject_of(*share.share),
            fmt::format(
                "Nobody has looked at '{}' on '{}'", *share.source_path.path, scene.source.name),
            fmt::format("Collect the facts of '{}' again", scene.source.name));
    }
}

} // namespace vfskit::check

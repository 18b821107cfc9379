// SPDX-License-Identifier: Apache-2.0
// Rules about what the guest has open and a path does not lead to.
#include "core/check/rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;

struct Ends {
    Sameness sameness = Sameness::unproved;
    bool are_one_host = false;
    bool are_ours = false; ///< the bundled daemon at both
};

Ends compare_ends(const Scene& scene, const ShareScene& share, const End& target) {
    Ends ends;
    const auto& here = *scene.source.facts();
    const auto& there = *target.facts();
    ends.are_one_host = !here.boot_id.empty() && here.boot_id == there.boot_id;
    const auto server = find_server(scene, *share.share, target);
    ends.are_ours = share.daemon->kind == node::BinaryKind::bundled &&
                    server.kind() == node::BinaryKind::bundled;
    if (share.mapping != nullptr && share.source_path.facts != nullptr) {
        const auto path = scene.cluster->path_of(*share.mapping, target.name, target.node);
        if (path.facts != nullptr) {
            ends.sameness = compare(here, *share.source_path.facts, there, *path.facts).sameness;
        }
    }
    return ends;
}

/// How many of them the target would not have.
std::uint64_t count_lost(const node::OpenFilesFacts& files, const Ends& ends) {
    auto lost = files.stuck;
    if (!ends.are_ours || ends.sameness != Sameness::same) {
        lost += files.by_handle;
    }
    if (!ends.are_ours || !ends.are_one_host) {
        lost += files.by_descriptor;
    }
    return lost;
}

bool ends_in_guest_error(const Scene& scene, const ShareScene& share, const End& target) {
    const auto server = find_server(scene, *share.share, target);
    // A daemon that is still to be started gets what the source's was given.
    const auto* const daemon = server.daemon != nullptr ? server.daemon : share.daemon;
    return daemon->options && daemon->options->on_error == share::OnError::guest_error;
}

} // namespace

void judge_locks(const Scene& /*scene*/, const ShareScene& share, std::vector<Finding>& findings) {
    if (share.daemon == nullptr || !share.daemon->open_files) {
        return;
    }
    const auto& files = *share.daemon->open_files;
    if (files.locks > 0 && !files.locks_move) {
        add(findings,
            Code::locks_held,
            subject_of(*share.share),
            fmt::format(
                "The guest holds {} lock{} on the host", files.locks, files.locks == 1 ? "" : "s"));
    }
}

void judge_open_files(const Scene& scene,
                      const ShareScene& share,
                      const End& target,
                      std::vector<Finding>& findings) {
    if (scene.migration->operation != Operation::live || share.daemon == nullptr ||
        !share.daemon->is_alive || target.node == nullptr || scene.source.node == nullptr) {
        return;
    }
    const auto& files = share.daemon->open_files;
    if (!files) {
        if (share.method == MigrationMethod::find_paths) {
            add(findings,
                Code::open_files_unknown,
                subject_of(*share.share),
                "Its daemon was not asked which open files have no name in the share");
        }
        return;
    }
    const auto lost = count_lost(*files, compare_ends(scene, share, target));
    if (lost == 0) {
        return;
    }
    const bool moves_anyway = ends_in_guest_error(scene, share, target);
    add(findings,
        moves_anyway ? Code::open_files_will_fail : Code::open_files_unreachable,
        subject_of(*share.share),
        fmt::format("The guest holds {} file{} that '{}' would not find{}",
                    lost,
                    lost == 1 ? "" : "s",
                    target.name,
                    files->examples.empty()
                        ? ""
                        : fmt::format(", for example '{}'", fmt::join(files->examples, "', '"))));
}

} // namespace vfskit::check

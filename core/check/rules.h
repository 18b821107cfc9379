// SPDX-License-Identifier: Apache-2.0
// The rules behind check_migration(), grouped by what they look at. Each appends what it finds.
#pragma once

#include "core/check/cluster.h"
#include "core/check/finding.h"
#include "core/check/identity.h"
#include "core/check/migration.h"
#include "core/check/vm.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::check {

/// Appends a finding; without a remedy of its own it has the catalogue's.
void add(std::vector<Finding>& findings,
         Code code,
         std::string subject,
         std::string sentence,
         std::string_view remedy = {});

std::string subject_of(const VmShare& share);      ///< share 'media'
std::string subject_of(const NinepDevice& device); ///< 9p export 'old'
std::string subject_of(const Vm& vm);              ///< VM 'web'
std::string subject_of_node(std::string_view node);

/// One end of the migration.
struct End {
    std::string_view name;             ///< of the node
    const ClusterNode* node = nullptr; ///< nullptr: no facts

    [[nodiscard]] const node::NodeFacts* facts() const {
        return node == nullptr ? nullptr : &node->facts();
    }
};

/// A share with what the source says about it, found out once per VM.
struct ShareScene {
    const VmShare* share = nullptr;
    const mapping::DirectoryMapping* mapping = nullptr; ///< nullptr: not of a mapping
    MappedPath source_path;
    const node::DaemonFacts* daemon = nullptr; ///< on the source
    /// How it will travel: by the running daemon's method, as far as the facts tell, else by the
    /// mapping's. Absent for a mapping without one.
    std::optional<mapping::MigrationMethod> method;
    bool verifies_handles = false; ///< the source sends handles to compare
};

/// The VM and all that is the same for every target.
struct Scene {
    const Vm* vm = nullptr;
    const Cluster* cluster = nullptr;
    const Migration* migration = nullptr;
    End source; ///< name empty: not known (the target's half alone)
    const node::GuestFacts* guest = nullptr;
    std::vector<ShareScene> shares;
};

/// Who will serve a share on the target: a running daemon, or a binary to be started.
struct Server {
    const node::DaemonFacts* daemon = nullptr;
    const ClusterNode::Binary* binary = nullptr;

    [[nodiscard]] bool is_known() const { return daemon != nullptr || binary != nullptr; }
    [[nodiscard]] std::optional<node::BinaryKind> kind() const {
        return daemon != nullptr   ? daemon->kind
               : binary != nullptr ? binary->facts->kind
                                   : std::nullopt;
    }
};
/// `target` has facts. Empty where nobody will.
Server find_server(const Scene& scene, const VmShare& share, const End& target);

/// The memory that has to move: the running guest's where the facts know it, else the
/// configuration's.
struct GuestMemory {
    std::optional<bool> is_shared;
    std::string reason; ///< what decides it; may be empty
    std::optional<std::uint64_t> bytes;
    bool has_hugepages = false;
    std::optional<std::uint64_t> hugepage_bytes; ///< absent: the host's default size
};
GuestMemory memory_of(const Scene& scene);

/// Facts missing or too old. True if there are facts to go on with.
bool judge_facts(const Scene& scene, const End& end, Code missing, std::vector<Finding>& findings);

/// Memory, snapshots, 9p, tags, post-copy: rules_vm.cpp.
void judge_vm(const Scene& scene, std::vector<Finding>& findings);
/// The mapping and the method of each share: rules_share.cpp.
void judge_mapping(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings);
/// Versions of QEMU and libvirt on the source, restarts: rules_source.cpp.
void judge_source_node(const Scene& scene, std::vector<Finding>& findings);
/// The share's running daemon: rules_source.cpp.
void judge_source_daemon(const Scene& scene,
                         const ShareScene& share,
                         std::vector<Finding>& findings);
/// Locks that hold the guest at the source: rules_open_files.cpp.
void judge_locks(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings);

/// Versions, memory, hook, return path: rules_target.cpp.
void judge_target_node(const Scene& scene, const End& target, std::vector<Finding>& findings);
/// The mapped directory on the target: rules_target.cpp.
void judge_target_path(const Scene& scene,
                       const ShareScene& share,
                       const End& target,
                       std::vector<Finding>& findings);
/// The mapped directory of a 9p export there: rules_target.cpp.
void judge_ninep_path(const Scene& scene,
                      const NinepDevice& device,
                      const End& target,
                      std::vector<Finding>& findings);
/// The daemon that would serve it there: rules_daemon.cpp.
void judge_target_daemon(const Scene& scene,
                         const ShareScene& share,
                         const End& target,
                         std::vector<Finding>& findings);
/// What of its guest's open files cannot travel there: rules_open_files.cpp.
void judge_open_files(const Scene& scene,
                      const ShareScene& share,
                      const End& target,
                      std::vector<Finding>& findings);
/// Whether both ends have one directory, where that matters: rules_identity.cpp.
void judge_identity(const Scene& scene,
                    const ShareScene& share,
                    const End& target,
                    std::vector<Finding>& findings);
/// Descriptors, persistence: rules_target.cpp.
void judge_road(const Scene& scene, const End& target, std::vector<Finding>& findings);

} // namespace vfskit::check

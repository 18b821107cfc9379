// SPDX-License-Identifier: Apache-2.0
// The parts of collect(). Internal to the room node.
#pragma once

#include "core/node/collect.h"
#include "core/node/process_table.h"
#include "core/node/qemu_process.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::node {

/// Asks programs what they are, each file once however many paths and processes lead to it.
class ProgramCache {
public:
    using Probe = Result<share::DaemonInfo> (*)(const std::string&, const share::ProcessRunner&);
    explicit ProgramCache(share::ProcessRunner run, Probe probe = share::probe)
        : run_{std::move(run)}, probe_{probe} {}

    /// `path` may be /proc/PID/exe: then it is the program as it runs.
    Result<share::DaemonInfo> virtiofsd(const std::string& path);
    /// The first version in what `path --version` prints.
    std::optional<Version> version(const std::string& path);

private:
    using FileId = std::pair<std::uint64_t, std::uint64_t>; // device, inode
    share::ProcessRunner run_;
    Probe probe_;
    std::map<FileId, Result<share::DaemonInfo>> daemons_;
    std::map<FileId, std::optional<Version>> versions_;
};

BinaryKind kind_of(const share::DaemonInfo& daemon);

/// A guest, and the shares that its QEMU has.
struct RunningGuest {
    GuestFacts facts;
    std::vector<QemuShare> shares;
};

std::vector<RunningGuest> collect_guests(const Places& places, Time boot, ProgramCache& programs);
std::vector<DaemonFacts> collect_daemons(const Places& places,
                                         const std::vector<MappedPath>& paths,
                                         const std::vector<RunningGuest>& guests,
                                         Time boot,
                                         ProgramCache& programs);

std::optional<bool> has_dac_read_search(const Places& places);

/// These and, if wanted, the one that libvirt would take; only those that are there.
std::vector<BinaryFacts> examine_virtiofsds(const std::vector<std::string>& paths,
                                            bool wants_libvirt_default,
                                            const Places& places,
                                            ProgramCache& programs);
/// Puts what the running daemons answer into their open_files.
void ask_daemons(std::vector<DaemonFacts>& daemons, const Places& places);

std::vector<BinaryFacts> collect_virtiofsds(const Places& places, ProgramCache& programs);
std::vector<EmulatorFacts> collect_qemus(const Places& places,
                                         const std::vector<RunningGuest>& guests,
                                         ProgramCache& programs);
std::optional<LibvirtFacts>
collect_libvirt(const Places& places, Time boot, ProgramCache& programs);
std::optional<PveFacts> collect_pve(const Places& places);
std::optional<MemoryFacts> collect_memory(const Places& places);

} // namespace vfskit::node

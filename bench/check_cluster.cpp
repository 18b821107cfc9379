// SPDX-License-Identifier: Apache-2.0
// How long does the check of a whole cluster take? 10 000 VMs with ten shares each against 32
// nodes, one core; and of one VM, once everything is read.
#include "core/check/check.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace vfskit;

constexpr int node_count = 32;
constexpr int vm_count = 10'000;
constexpr int share_count = 10;
constexpr int mapping_count = 500;

const node::Time collected{std::chrono::milliseconds{1'790'000'000'000}};

std::string node_name(int index) {
    return "node" + std::to_string(index);
}

node::NodeFacts make_node(int index) {
    node::NodeFacts facts;
    facts.node = node_name(index);
    facts.collected_at = collected;
    facts.boot_id = "boot" + std::to_string(index);
    facts.has_dac_read_search = true;
    node::BinaryFacts binary;
    binary.path = "/usr/libexec/virtiofsd";
    binary.kind = node::BinaryKind::rust;
    binary.version = node::Version{1, 13, 2};
    binary.features = {"migrate-precopy", "separate-options"};
    binary.is_libvirt_default = true;
    facts.virtiofsds = {binary};
    facts.qemus = {{"/usr/bin/kvm", node::Version{10, 0, 2}}};
    facts.pve.emplace();
    facts.pve->has_return_path = index % 8 != 0; // some nodes without the plugin: findings to write
    facts.memory.emplace();
    for (int i = 0; i < mapping_count; ++i) {
        node::PathFacts path;
        path.dirid = "share" + std::to_string(i);
        path.path = "/mnt/pve/ceph/share" + std::to_string(i);
        path.state = node::ProbeState::answered;
        path.exists = index % 16 != 3 || i % 10 != 0;
        path.is_directory = true;
        path.fs_type = "ceph";
        path.fs_id = 7;
        path.inode = 1000 + i;
        path.root_handle = node::HostFileHandle{1, {static_cast<std::uint8_t>(i % 256), 2, 3, 4}};
        path.name_to_handle_works = path.open_by_handle_works = true;
        path.is_expected_mount = true;
        facts.paths.push_back(std::move(path));
    }
    return facts;
}

check::Vm make_vm(int index) {
    check::Vm vm;
    vm.name = std::to_string(100 + index);
    vm.kind = check::VmKind::pve;
    vm.is_running = true;
    vm.has_shared_memory = true;
    vm.snapshots = 0;
    for (int i = 0; i < share_count; ++i) {
        check::VmShare share;
        share.tag = share.dirid =
            "share" + std::to_string((index * share_count + i) % mapping_count);
        share.is_dirid_explicit = true;
        share.launch = check::LaunchKind::pve;
        share.has_fixed_address = true;
        vm.shares.push_back(std::move(share));
    }
    return vm;
}

void add_running(node::NodeFacts& node, const check::Vm& vm) {
    node::GuestFacts guest;
    guest.name = vm.name;
    guest.started_at = collected;
    guest.binary = "/usr/bin/kvm";
    guest.version = node::Version{10, 0, 2};
    node.guests.push_back(guest);
    for (const auto& share : vm.shares) {
        node::DaemonFacts daemon;
        daemon.vm = vm.name;
        daemon.tag = share.tag;
        daemon.dirid = share.dirid;
        daemon.shared_dir = "/mnt/pve/ceph/" + share.dirid;
        daemon.binary = "/usr/libexec/virtiofsd";
        daemon.kind = node::BinaryKind::rust;
        daemon.version = node::Version{1, 13, 2};
        daemon.is_binary_replaced = false;
        daemon.options.emplace();
        daemon.options->method = mapping::MigrationMethod::file_handles;
        node.daemons.push_back(std::move(daemon));
    }
}

/// Processor time of this process, which has one thread: what else the machine does is not in it.
double cpu_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

} // namespace

int main() {
    std::vector<mapping::DirectoryMapping> mappings;
    for (int i = 0; i < mapping_count; ++i) {
        mapping::DirectoryMapping mapping;
        mapping.id = "share" + std::to_string(i);
        mapping.live_migration_method = mapping::MigrationMethod::file_handles;
        mapping.path_relation = mapping::PathRelation::same_directory;
        for (int node = 0; node < node_count; ++node) {
            mapping.paths.push_back({node_name(node), "/mnt/pve/ceph/" + mapping.id});
        }
        mappings.push_back(std::move(mapping));
    }
    std::vector<node::NodeFacts> facts;
    for (int i = 0; i < node_count; ++i) {
        facts.push_back(make_node(i));
    }
    std::vector<check::Vm> vms;
    for (int i = 0; i < vm_count; ++i) {
        vms.push_back(make_vm(i));
        add_running(facts[static_cast<std::size_t>(i % node_count)], vms.back());
    }
    std::vector<std::string> names;
    for (int i = 0; i < node_count; ++i) {
        names.push_back(node_name(i));
    }

    auto start = cpu_seconds();
    const check::Cluster cluster{std::move(mappings), std::move(facts)};
    const double index_seconds = cpu_seconds() - start;

    const check::Migration migration;
    std::size_t pairs = 0;
    std::size_t findings = 0;
    start = cpu_seconds();
    for (int i = 0; i < vm_count; ++i) {
        const auto& source = names[static_cast<std::size_t>(i % node_count)];
        std::vector<std::string_view> targets;
        for (const auto& name : names) {
            if (name != source) {
                targets.emplace_back(name);
            }
        }
        const auto report = check::check_migration(
            vms[static_cast<std::size_t>(i)], cluster, source, targets, migration);
        pairs += report.targets.size();
        findings += report.findings.size();
        for (const auto& target : report.targets) {
            findings += target.findings.size();
        }
    }
    const double all_seconds = cpu_seconds() - start;

    start = cpu_seconds();
    const std::string_view target = names[1];
    const auto one =
        check::check_migration(vms[0], cluster, names[0], std::span{&target, 1}, migration);
    const double one_seconds = cpu_seconds() - start;

    std::printf("%d VMs x %d nodes x %d shares: %zu pairs, %zu findings\n",
                vm_count,
                node_count,
                share_count,
                pairs,
                findings);
    std::printf("index      %8.3f s\n", index_seconds);
    std::printf("all checks %8.3f s  (aim: index and checks under 2 s of processor time)\n",
                all_seconds);
    std::printf("           %8.1f ns per share and target\n",
                all_seconds * 1e9 / static_cast<double>(pairs) / share_count);
    std::printf("one VM     %8.3f ms (aim: under 20 ms), %zu findings\n",
                one_seconds * 1e3,
                one.findings.size() + one.targets[0].findings.size());
    return all_seconds + index_seconds < 2.0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

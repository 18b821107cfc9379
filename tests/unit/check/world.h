// SPDX-License-Identifier: Apache-2.0
// A VM, two nodes and a mapping where a live migration works and nothing is found but notes; tests
// break one thing at a time.
#pragma once

#include "core/check/check.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::test {

using namespace std::chrono_literals;

inline constexpr node::Time world_time{std::chrono::milliseconds{1'790'000'000'000}};

inline node::PathFacts good_path(std::string path) {
    node::PathFacts facts;
    facts.dirid = "media";
    facts.path = std::move(path);
    facts.state = node::ProbeState::answered;
    facts.exists = true;
    facts.is_directory = true;
    facts.mount_point = "/mnt/ceph";
    facts.mount_source = "mon:/";
    facts.fs_type = "ceph";
    facts.expected_mount_point = "/mnt/ceph";
    facts.is_expected_mount = true;
    facts.is_empty = false;
    facts.device_major = 0;
    facts.device_minor = 50;
    facts.inode = 0x10000000001;
    facts.fs_id = 0xabcdef;
    facts.fs_magic = 0xc36400;
    facts.birth_ns = 1'700'000'000;
    facts.root_handle = node::HostFileHandle{.type = 1, .bytes = {1, 2, 3}};
    facts.name_to_handle_works = true;
    facts.open_by_handle_works = true;
    return facts;
}

inline node::NodeFacts good_node(const std::string& name, const std::string& path) {
    node::NodeFacts facts;
    facts.node = name;
    facts.collected_at = world_time;
    facts.boot_id = "boot-of-" + name;
    facts.has_dac_read_search = true;
    facts.virtiofsds = {{.path = "/usr/libexec/virtiofsd",
                         .kind = node::BinaryKind::rust,
                         .version = node::Version{1, 13, 2},
                         .features = {"migrate-precopy", "separate-options"},
                         .vhost_user_files = {},
                         .is_libvirt_default = true,
                         .problem = {}}};
    facts.qemus = {{.path = "/usr/bin/qemu-system-x86_64", .version = node::Version{10, 0, 2}}};
    facts.libvirt = node::LibvirtFacts{.version = node::Version{11, 3, 0},
                                       .daemon = "libvirtd",
                                       .is_running = true,
                                       .started_at = world_time - 48h,
                                       .hook = {.path = "/etc/libvirt/hooks/qemu.d/vfskit",
                                                .is_installed = true,
                                                .is_loaded = true}};
    facts.pve = node::PveFacts{.manager_version = "9.1.6",
                               .qemu_server_version = "9.2.6",
                               .plugin_version = "0.1.0",
                               .has_return_path = true,
                               .has_launcher = true,
                               .is_quorate = true};
    facts.memory = node::MemoryFacts{
        .total_bytes = std::uint64_t{64} << 30U,
        .available_bytes = std::uint64_t{32} << 30U,
        .hugepages = {{.page_bytes = std::uint64_t{2} << 20U, .total = 2048, .free = 1024}}};
    facts.paths = {good_path(path)};
    return facts;
}

inline node::DaemonFacts good_daemon() {
    node::DaemonFacts daemon;
    daemon.pid = 4711;
    daemon.started_at = world_time - 1h;
    daemon.manager = node::Manager::libvirt;
    daemon.vm = "web";
    daemon.tag = "media";
    daemon.dirid = "media";
    daemon.shared_dir = "/srv/media";
    daemon.binary = "/usr/libexec/virtiofsd";
    daemon.kind = node::BinaryKind::rust;
    daemon.version = node::Version{1, 13, 2};
    daemon.is_binary_replaced = false;
    daemon.options = node::DaemonOptions{};
    return daemon;
}

struct World {
    check::Vm vm;
    std::vector<mapping::DirectoryMapping> mappings;
    node::NodeFacts source = good_node("n1", "/srv/media");
    node::NodeFacts target = good_node("n2", "/mnt/media");
    bool has_source_facts = true;
    bool has_target_facts = true;
    std::string target_name = "n2";
    check::Migration migration;

    World() {
        vm.name = "web";
        vm.kind = check::VmKind::libvirt;
        vm.is_running = true;
        vm.has_shared_memory = true;
        vm.memory_bytes = std::uint64_t{1} << 30U;
        vm.snapshots = 0;
        check::VmShare share;
        share.tag = "media";
        share.dirid = "media";
        share.is_dirid_explicit = true;
        share.source_dir = "/srv/media";
        share.has_fixed_address = true;
        vm.shares.push_back(share);
        mapping::DirectoryMapping media;
        media.id = "media";
        media.paths = {{"n1", "/srv/media"}, {"n2", "/mnt/media"}};
        media.live_migration_method = mapping::MigrationMethod::find_paths;
        media.path_relation = mapping::PathRelation::replicas;
        mappings.push_back(media);
        source.daemons = {good_daemon()};
        source.guests = {{.name = "web",
                          .uuid = {},
                          .vmid = {},
                          .pid = 4712,
                          .started_at = world_time - 1h,
                          .manager = node::Manager::libvirt,
                          .binary = "/usr/bin/qemu-system-x86_64",
                          .version = node::Version{10, 0, 2},
                          .memory = {}}};
        migration.now = world_time + 1s;
    }

    check::VmShare& share() { return vm.shares.front(); }
    mapping::DirectoryMapping& media() { return mappings.front(); }
    node::DaemonFacts& daemon() { return source.daemons.front(); }
    node::PathFacts& source_path() { return source.paths.front(); }
    node::PathFacts& target_path() { return target.paths.front(); }

    void use_file_handles() {
        media().live_migration_method = mapping::MigrationMethod::file_handles;
        media().path_relation = mapping::PathRelation::same_directory;
        daemon().options->method = mapping::MigrationMethod::file_handles;
    }
    void use_pve() {
        vm.name = "100";
        vm.kind = check::VmKind::pve;
        source.guests.front().name = "100";
        daemon().vm = "100";
        share().launch = check::LaunchKind::pve;
        share().source_dir.reset();
        share().xattr = false;
        share().posix_acl = false;
    }
    /// Proxmox VE asks for this instead of a live migration.
    void use_pve(check::Operation operation) {
        use_pve();
        migration.operation = operation;
    }
    void use_socket(std::string socket = "/run/other/media.sock") {
        share().launch = check::LaunchKind::socket;
        share().source_dir.reset();
        share().socket = socket;
        daemon().socket = socket;
        auto there = good_daemon();
        there.vm.reset();
        there.shared_dir = "/mnt/media";
        there.socket = std::move(socket);
        target.daemons = {there};
    }
    void use_bundled_daemons() {
        daemon().kind = node::BinaryKind::bundled;
        for (auto* const facts : {&source, &target}) {
            facts->virtiofsds[0].kind = node::BinaryKind::bundled;
            facts->virtiofsds[0].features.emplace_back(share::feature_fd_passing);
        }
    }
    void use_one_host() { target.boot_id = source.boot_id; }
    void add_ninep(std::optional<bool> is_mounted) {
        vm.ninep.push_back({.tag = "old",
                            .dirid = "media",
                            .source_dir = "/srv/media",
                            .multidevs = "remap",
                            .is_mounted = is_mounted});
    }

    [[nodiscard]] check::Cluster cluster() const {
        std::vector<node::NodeFacts> facts;
        if (has_source_facts) {
            facts.push_back(source);
        }
        if (has_target_facts) {
            facts.push_back(target);
        }
        return {mappings, std::move(facts)};
    }
    [[nodiscard]] check::VmReport report() const {
        const auto all = cluster();
        std::vector<std::string_view> targets;
        if (migration.has_target()) {
            targets.emplace_back(target_name);
        }
        return check::check_migration(vm, all, source.node, targets, migration);
    }
    /// Common findings and those of the target.
    [[nodiscard]] std::vector<check::Finding> findings() const {
        auto result = report();
        auto all = std::move(result.findings);
        for (auto& there : result.targets) {
            all.insert(all.end(), there.findings.begin(), there.findings.end());
        }
        return all;
    }
    [[nodiscard]] bool finds(check::Code code) const {
        const auto all = findings();
        return std::ranges::find(all, code, &check::Finding::code) != all.end();
    }
    /// "VFS-C001 share 'x': …" per line, for messages of tests.
    [[nodiscard]] std::string text() const {
        std::string text;
        for (const auto& finding : findings()) {
            text += finding.code_text() + " " + finding.subject + ": " + finding.sentence + "\n";
        }
        return text;
    }
};

} // namespace vfskit::test

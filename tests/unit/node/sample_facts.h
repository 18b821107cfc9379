// SPDX-License-Identifier: Apache-2.0
// A node of which everything is known.
#pragma once

#include "core/node/facts.h"

namespace vfskit::node::test {

inline Time at(std::int64_t seconds, int milliseconds = 0) {
    return Time{std::chrono::seconds{seconds} + std::chrono::milliseconds{milliseconds}};
}

inline DaemonFacts sample_daemon() {
    DaemonOptions options;
    options.method = mapping::MigrationMethod::file_handles;
    options.is_method_explicit = true;
    options.on_error = share::OnError::guest_error;
    options.cache = share::CachePolicy::always;
    options.xattr = true;
    options.posix_acl = share::Negotiation::automatic;
    options.inode_file_handles = share::InodeFileHandles::prefer;
    options.xattrmap = ":prefix:all::user.vm.:";
    options.modcaps = "+dac_read_search";
    options.thread_pool_size = 8;
    options.translate_uid = {"map:0:1000:10"};
    return {.is_alive = true,
            .pid = 4711,
            .started_at = at(1'795'000'000, 250),
            .manager = Manager::vfskit,
            .vm = "web",
            .tag = "media",
            .dirid = "media",
            .shared_dir = "/srv/media",
            .socket = "/run/vfskit/web/media.sock",
            .control_socket = "/run/vfskit/web/media.control",
            .binary = "/usr/libexec/vfskit/virtiofsd",
            .kind = BinaryKind::bundled,
            .version = Version{1, 14, 0},
            .is_binary_replaced = false,
            .argv = {"--shared-dir=/srv/media", "--migration-mode=file-handles"},
            .options = options,
            .submounts = std::vector<std::string>{"films"},
            .open_files = OpenFilesFacts{.stuck = 1,
                                         .by_handle = 2,
                                         .by_descriptor = 3,
                                         .locks = 4,
                                         .locks_move = true,
                                         .examples = {"dir/deleted"}}};
}

inline PathFacts sample_path() {
    PathFacts path;
    path.dirid = "media";
    path.path = "/srv/media";
    path.state = ProbeState::answered;
    path.exists = true;
    path.is_directory = true;
    path.mount_point = "/srv/media";
    path.mount_source = "filer:/media";
    path.fs_type = "nfs4";
    path.mount_options = {"rw", "noatime"};
    path.submounts = {{.path = "films", .fs_type = "nfs4"}};
    path.expected_mount_point = "/srv/media";
    path.is_expected_mount = true;
    path.is_empty = false;
    path.device_major = 0;
    path.device_minor = 52;
    path.inode = 18'446'744'073'709'551'615ULL;
    path.fs_id = 0x00000034'00000000;
    path.fs_magic = 0x6969;
    path.birth_ns = -1;
    path.root_handle = HostFileHandle{.type = -1, .bytes = {0x00, 0xFF, 0x7a}};
    path.name_to_handle_works = true;
    path.open_by_handle_works = false;
    path.total_bytes = 1'000'000'000'000;
    path.free_bytes = 1;
    path.free_inodes = 0;
    path.is_readonly = false;
    path.supports_xattr = true;
    path.supports_acl = false;
    return path;
}

inline NodeFacts sample_node() {
    return {.node = "n1",
            .collected_at = at(1'795'000'100, 7),
            .boot_id = "5bdb1d15-5a0f-4c2f-8f1d-0b5d0f0d7a11",
            .machine_id = "0123456789abcdef0123456789abcdef",
            .vfskit_version = "0.1.0",
            .kernel = "6.12.48+deb13-amd64",
            .has_dac_read_search = true,
            .virtiofsds = {{.path = "/usr/libexec/virtiofsd",
                            .kind = BinaryKind::rust,
                            .version = Version{1, 13, 2},
                            .features = {"migrate-precopy", "separate-options"},
                            .vhost_user_files = {"/usr/share/qemu/vhost-user/50-virtiofsd.json"},
                            .is_libvirt_default = true,
                            .problem = std::nullopt}},
            .daemons = {sample_daemon()},
            .guests = {{.name = "web",
                        .uuid = "8e2c2b8a-1c8a-4a5e-9a55-0a2f7a0f3b11",
                        .vmid = 100,
                        .pid = 4712,
                        .started_at = at(1'795'000'001),
                        .manager = Manager::libvirt,
                        .binary = "/usr/bin/qemu-system-x86_64",
                        .version = Version{10, 0, 2},
                        .memory = {.bytes = 4'294'967'296,
                                   .is_shared = true,
                                   .has_hugepages = true,
                                   .hugepage_bytes = 2'097'152}}},
            .qemus = {{.path = "/usr/bin/qemu-system-x86_64", .version = Version{10, 0, 2}}},
            .libvirt = LibvirtFacts{.version = Version{11, 3, 0},
                                    .daemon = "libvirtd",
                                    .is_running = true,
                                    .started_at = at(1'794'999'000),
                                    .hook = {.path = "/etc/libvirt/hooks/qemu.d/vfskit",
                                             .is_installed = true,
                                             .is_loaded = true}},
            .pve = PveFacts{.manager_version = "9.1.6",
                            .qemu_server_version = "9.2.6",
                            .plugin_version = "0.1.0",
                            .has_return_path = true,
                            .has_launcher = true,
                            .is_quorate = true},
            .memory = MemoryFacts{.total_bytes = 67'108'864,
                                  .available_bytes = 33'554'432,
                                  .hugepages = {{.page_bytes = 2'097'152, .total = 8, .free = 4}}},
            .mappings_revision = "2f1c",
            .paths = {sample_path()},
            .problems = {"QEMU's binary '/opt/qemu' did not answer"}};
}

} // namespace vfskit::node::test

// SPDX-License-Identifier: Apache-2.0
#include "core/launch/unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vfskit::launch {

namespace {

using Properties = std::vector<UnitProperty>;

// capabilities(7). What virtiofsd keeps for the guest's requests, and what it needs until its own
// walls stand: mounts and namespaces, the limit of open files, dropping capabilities.
constexpr std::array<std::pair<std::string_view, unsigned>, 13> needed_capabilities{{
    {"chown", 0},
    {"dac_override", 1},
    {"dac_read_search", 2},
    {"fowner", 3},
    {"fsetid", 4},
    {"setgid", 6},
    {"setuid", 7},
    {"setpcap", 8},
    {"sys_chroot", 18},
    {"sys_admin", 21},
    {"sys_resource", 24},
    {"mknod", 27},
    {"setfcap", 31},
}};

// The others that --modcaps can add, by number.
constexpr std::array<std::string_view, 41> capability_names{"chown",
                                                            "dac_override",
                                                            "dac_read_search",
                                                            "fowner",
                                                            "fsetid",
                                                            "kill",
                                                            "setgid",
                                                            "setuid",
                                                            "setpcap",
                                                            "linux_immutable",
                                                            "net_bind_service",
                                                            "net_broadcast",
                                                            "net_admin",
                                                            "net_raw",
                                                            "ipc_lock",
                                                            "ipc_owner",
                                                            "sys_module",
                                                            "sys_rawio",
                                                            "sys_chroot",
                                                            "sys_ptrace",
                                                            "sys_pacct",
                                                            "sys_admin",
                                                            "sys_boot",
                                                            "sys_nice",
                                                            "sys_resource",
                                                            "sys_time",
                                                            "sys_tty_config",
                                                            "mknod",
                                                            "lease",
                                                            "audit_write",
                                                            "audit_control",
                                                            "setfcap",
                                                            "mac_override",
                                                            "mac_admin",
                                                            "syslog",
                                                            "wake_alarm",
                                                            "block_suspend",
                                                            "audit_read",
                                                            "perfmon",
                                                            "bpf",
                                                            "checkpoint_restore"};

std::uint64_t capability_set(const std::vector<std::string>& added) {
    std::uint64_t set = 0;
    for (const auto& [name, number] : needed_capabilities) {
        set |= std::uint64_t{1} << number;
    }
    for (const auto& name : added) {
        const auto* const found = std::ranges::find(capability_names, name);
        if (found != capability_names.end()) {
            set |= std::uint64_t{1} << static_cast<unsigned>(found - capability_names.begin());
        }
    }
    return set;
}

void add_sandbox(Properties& properties,
                 const DaemonRecord& record,
                 const SharePaths& paths,
                 const UnitOptions& options) {
    std::vector<std::string> writable{paths.directory};
    if (!options.readonly) {
        writable.push_back(record.shared_dir);
    }
    properties.insert(properties.end(),
                      {{"CapabilityBoundingSet", capability_set(options.added_capabilities)},
                       {"NoNewPrivileges", true},
                       // Everything but the share and the sockets is read-only; no path is hidden,
                       // because a share may be anywhere.
                       {"ProtectSystem", std::string{"strict"}},
                       // "strict" leaves these two to other properties.
                       {"ProtectHome", std::string{"read-only"}},
                       {"ReadOnlyPaths", std::vector<std::string>{"/run"}},
                       {"ReadWritePaths", std::move(writable)},
                       // Not PrivateNetwork: whether a socket is listened on is read from the
                       // network namespace's table, and virtiofsd enters an empty one itself.
                       {"RestrictAddressFamilies", AllowList{{"AF_UNIX"}}},
                       {"ProtectKernelTunables", true},
                       {"ProtectKernelModules", true},
                       {"ProtectControlGroups", true},
                       {"ProtectHostname", true},
                       {"LockPersonality", true},
                       {"MemoryDenyWriteExecute", true},
                       {"RestrictRealtime", true},
                       {"SystemCallArchitectures", std::vector<std::string>{"native"}},
                       {"KeyringMode", std::string{"private"}}});
}

// virtiofsd's default for --migration-socket-dir, where two daemons of one host meet. The unit may
// not make it itself: /run is read-only to it.
void add_meeting_place(Properties& properties, const DaemonRecord& record) {
    if (std::ranges::find(record.argv, "--migration-mode=fd-passing") == record.argv.end()) {
        return;
    }
    constexpr std::uint32_t owner_only = 0700;
    properties.insert(properties.end(),
                      {{"RuntimeDirectory", std::vector<std::string>{"vfskit-migration"}},
                       {"RuntimeDirectoryMode", owner_only},
                       // The other daemon may still use it.
                       {"RuntimeDirectoryPreserve", std::string{"yes"}}});
}

void add_limits(Properties& properties, const Limits& limits, const std::string& target) {
    const auto add_io = [&](const char* name, const std::optional<std::uint64_t>& limit) {
        if (limit) {
            properties.push_back({name, DeviceLimit{target, *limit}});
        }
    };
    add_io("IOReadBandwidthMax", limits.read_bytes_per_second);
    add_io("IOWriteBandwidthMax", limits.write_bytes_per_second);
    add_io("IOReadIOPSMax", limits.read_operations_per_second);
    add_io("IOWriteIOPSMax", limits.write_operations_per_second);
    if (limits.cpu_percent) {
        constexpr std::uint64_t microseconds_per_percent = 10000;
        properties.push_back(
            {"CPUQuotaPerSecUSec", *limits.cpu_percent * microseconds_per_percent});
    }
    if (limits.memory_bytes) {
        properties.push_back({"MemoryMax", *limits.memory_bytes});
    }
}

void add_restart(Properties& properties,
                 const DaemonRecord& record,
                 const SharePaths& paths,
                 const UnitOptions& options) {
    properties.push_back({"Restart", std::string{to_string(record.restart)}});
    if (record.restart == Restart::on_failure) {
        properties.insert(properties.end(),
                          {{"RestartUSec", std::uint64_t{1000000}},
                           {"StartLimitIntervalUSec", std::uint64_t{60000000}},
                           {"StartLimitBurst", std::uint32_t{5}}});
    }
    if (!options.keeps_record_at_end) {
        // The daemon removes its sockets itself, unless it is killed.
        properties.push_back({"ExecStopPost",
                              ExecCommand{{.program = "/bin/rm",
                                           .args = {"-f",
                                                    "--",
                                                    paths.record,
                                                    paths.pid_file,
                                                    paths.socket,
                                                    paths.socket_pid_file(),
                                                    paths.control}},
                                          true}});
    }
}

} // namespace

TransientUnit
make_unit(const DaemonRecord& record, const SharePaths& paths, const UnitOptions& options) {
    Properties properties{
        {"Description",
         fmt::format(
             "virtiofs share {} of VM {} (mapping {})", record.tag, record.vm, record.mapping)},
        {"Documentation", std::vector<std::string>{"man:virtiofsd(1)"}},
        {"Slice", std::string{slice_name}},
        {"CollectMode", std::string{"inactive-or-failed"}},
        {"Type", std::string{"exec"}},
        {"ExecStart",
         ExecCommand{
             {.program = record.argv.front(), .args = {record.argv.begin() + 1, record.argv.end()}},
             false}},
        // A second signal makes upstream's daemon drop what is in flight, so one, then SIGKILL.
        {"KillMode", std::string{"mixed"}},
        {"TimeoutStopUSec", std::uint64_t{10000000}},
        {"LimitNOFILE", std::uint64_t{1000000}},
        {"StandardInput", std::string{"null"}},
        {"StandardOutput", std::string{"journal"}},
        {"StandardError", std::string{"journal"}},
        {"SyslogIdentifier", std::string{"virtiofsd"}}};
    add_sandbox(properties, record, paths, options);
    add_meeting_place(properties, record);
    add_limits(properties, record.limits, options.io_target);
    add_restart(properties, record, paths, options);
    return {paths.unit, std::move(properties)};
}

} // namespace vfskit::launch

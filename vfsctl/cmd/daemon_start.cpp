// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_start.h"

#include "core/control/server.h"
#include "vfsctl/cmd/daemon_program.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <grp.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace vfskit::vfsctl {

namespace {

Result<LogLevel> parse_level(std::string_view word) {
    return control::parse_log_level(word);
}

Result<std::uint64_t> parse_count(std::string_view word) {
    return launch::parse_limit(word);
}

void bind_limits(launch::Limits& limits, OptionSet& set) {
    set.value({.name = "--read-limit",
               .value = "SIZE",
               .help = "Bytes per second that the share may read from its device, '64M'"},
              limits.read_bytes_per_second,
              launch::parse_limit)
        .value({.name = "--write-limit",
                .value = "SIZE",
                .help = "Bytes per second that it may write"},
               limits.write_bytes_per_second,
               launch::parse_limit)
        .value({.name = "--read-iops",
                .value = "N",
                .help = "Reads per second of the device; K, M stand for powers of 1024"},
               limits.read_operations_per_second,
               parse_count)
        .value({.name = "--write-iops", .value = "N", .help = "Writes per second"},
               limits.write_operations_per_second,
               parse_count)
        .text({.name = "--io-device",
               .value = "PATH",
               .help = "The device that these four count, or a file on it. Default: the shared "
                       "directory's",
               .completes = Completes::file},
              limits.io_device)
        .number(
            {.name = "--cpu-limit", .value = "PERCENT", .help = "Processor time, 100 is one CPU"},
            limits.cpu_percent,
            1000000)
        .value({.name = "--memory-limit",
                .value = "SIZE",
                .help = "Memory of the daemon, page cache that it fills included"},
               limits.memory_bytes,
               launch::parse_limit);
}

void bind(DaemonStartOptions& options, OptionSet& set) {
    set.text({.name = "MAPPING",
              .help = "The directory mapping to share",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.mapping)
        .text({.name = "--vm",
               .value = "VM",
               .help = "Name or VMID of the VM; the socket is RUN/VM/TAG.sock",
               .is_required = true},
              options.vm);
    bind_daemon_program(options.binary, options.dialect, set);
    set.text({.name = "--socket-group",
              .value = "GROUP",
              .help = "The group that may connect to the socket; QEMU's user must be in it. "
                      "Default: kvm, where this host has it"},
             options.socket_group)
        .value({.name = "--log-level",
                .value = "LEVEL",
                .help = "What the daemon logs: error, warn, info, debug or trace",
                .completes = Completes::words,
                .words = {"error", "warn", "info", "debug", "trace"}},
               options.log_level,
               parse_level)
        .flag(
            {.name = "--replace-waiting",
             .help = "Stop a daemon of this share that no VM is connected to, instead of refusing"},
            options.replaces_waiting)
        .value({.name = "--restart",
                .value = "POLICY",
                .help = "Whether systemd starts it again when it failed: no (default; QEMU cannot "
                        "connect again) or on-failure",
                .completes = Completes::words,
                .words = {"no", "on-failure"}},
               options.restart,
               launch::parse_restart);
    bind_launcher_kind(options.launcher, set);
    bind_limits(options.limits, set);
    bind_share_options(options.share, set);
}

std::optional<std::string> default_group() {
    constexpr const char* group = "kvm";
    // Only root may give the socket to a group that it is not in.
    return ::geteuid() == 0 && ::getgrnam(group) != nullptr ? std::optional<std::string>{group}
                                                            : std::nullopt;
}

} // namespace

Verb daemon_start_verb() {
    return make_verb<DaemonStartOptions>(
        {.path = "daemon start",
         .summary = "Start virtiofsd for a share of a VM, and wait until it listens",
         .description =
             "With systemd the daemon is a transient unit, vfskit-virtiofsd-VM-TAG.service in "
             "vfskit.slice: it may write to the share and nowhere else, and logs to the journal. "
             "Without, it is a process of its own with a pid file and a log beside its socket. "
             "Files are in /run/vfskit/VM. The daemon ends with the VM. A start is refused while a "
             "live daemon has the socket; what a dead one left is removed.",
         .examples = R"(
vfsctl daemon start media --vm web
vfsctl daemon start media --vm web --cache always --read-limit 64M --cpu-limit 50
vfsctl daemon start media --vm web --replace-waiting --json)"},
        bind,
        run_daemon_start);
}

Result<launch::DaemonRecord> start_daemon(const DaemonStartOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto shares,
                      make_shares(services, std::span{&options.mapping, 1}, options.share));
    launch::StartRequest request;
    request.vm = options.vm;
    request.share = shares.front();
    request.program = options.binary;
    if (options.dialect) {
        request.daemon = *options.dialect;
    } else {
        VFSKIT_TRY_ASSIGN(request.daemon,
                          share::probe(options.binary, services.environment.run_process));
    }
    request.socket_group = options.socket_group ? options.socket_group : default_group();
    request.log_level = options.log_level;
    request.limits = options.limits;
    request.restart = options.restart;
    request.replaces_waiting = options.replaces_waiting;
    VFSKIT_TRY_ASSIGN(const auto launcher, open_launcher(options.launcher, services));
    return launcher->start(request);
}

Result<ExitCode> run_daemon_start(const DaemonStartOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto record, start_daemon(options, services));
    if (services.output.is_json()) {
        auto document = make_document("daemon-record");
        document.update(record_json(record));
        services.output.print_json(document);
    } else {
        services.output.say(fmt::format("Started the daemon of '{}' for VM '{}', process {}; it "
                                        "listens on {}",
                                        record.tag,
                                        record.vm,
                                        record.process.pid,
                                        record.socket));
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// Guests and daemons: what runs, joined by the sockets between them.
#include "core/base/file.h"
#include "core/base/size.h"
#include "core/node/collect_parts.h"
#include "core/node/daemon_arguments.h"
#include "core/node/mount_table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <tuple>

namespace vfskit::node {

namespace {

constexpr std::size_t max_record = 1 << 20;

std::string running_program(const Places& places, const Process& process) {
    return places.proc + "/" + std::to_string(process.pid) + "/exe";
}

bool is_qemu(const Process& process) {
    const auto name = file_name(process.argv.front());
    return name.starts_with("qemu-system-") || name == "qemu-kvm" || name == "kvm";
}

/// A record that vfskit keeps of a daemon it started.
struct Record {
    std::string vm;
    std::string tag;
    std::optional<std::string> dirid;
    std::optional<std::uint32_t> pid;
    std::uint64_t start_ticks = 0;
    std::string socket;
    std::optional<std::string> control;
    std::string shared_dir;
    std::vector<std::string> argv;
};

template <class T>
T member(const nlohmann::json& object, const char* name, T otherwise) {
    const auto found = object.find(name);
    if (found == object.end()) {
        return otherwise;
    }
    // A value of another type is as good as none.
    if constexpr (std::is_same_v<T, std::string>) {
        return found->is_string() ? found->get<std::string>() : otherwise;
    } else {
        return found->is_number_unsigned() ? found->get<T>() : otherwise;
    }
}

std::optional<Record> read_record(const std::filesystem::path& path) {
    const auto text = base::read_file(path, max_record);
    const auto object =
        text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json::object();
    if (!object.is_object() || member(object, "kind", std::string{}) != "daemon-record") {
        return std::nullopt;
    }
    Record record{.vm = member(object, "vm", path.parent_path().filename().string()),
                  .tag = member(object, "tag", path.stem().string()),
                  .dirid = std::nullopt,
                  .pid = std::nullopt,
                  .start_ticks = member(object, "start-time", std::uint64_t{0}),
                  .socket = member(object, "socket", std::string{}),
                  .control = std::nullopt,
                  .shared_dir = member(object, "shared-dir", std::string{}),
                  .argv = {}};
    if (const auto pid = member(object, "pid", std::uint32_t{0}); pid != 0) {
        record.pid = pid;
    }
    if (auto dirid = member(object, "mapping", std::string{}); !dirid.empty()) {
        record.dirid = std::move(dirid);
    }
    if (auto control = member(object, "control-socket", std::string{}); !control.empty()) {
        record.control = std::move(control);
    }
    if (const auto argv = object.find("argv"); argv != object.end() && argv->is_array()) {
        for (const auto& word : *argv) {
            record.argv.push_back(word.is_string() ? word.get<std::string>() : "");
        }
    }
    return record;
}

std::vector<Record> read_records(const std::string& run_dir) {
    std::vector<Record> records;
    std::error_code failed;
    std::filesystem::recursive_directory_iterator entries{run_dir, failed};
    for (; !failed && entries != std::filesystem::recursive_directory_iterator{};
         entries.increment(failed)) {
        if (entries->path().extension() == ".json" && entries.depth() == 1) {
            if (auto record = read_record(entries->path())) {
                records.push_back(*std::move(record));
            }
        }
    }
    return records;
}

void take_arguments(DaemonFacts& daemon, std::span<const std::string> argv) {
    daemon.argv.assign(argv.begin(), argv.end());
    if (auto arguments = parse_daemon_arguments(argv)) {
        daemon.shared_dir = std::move(arguments->shared_dir);
        daemon.tag = std::move(arguments->tag);
        daemon.socket = std::move(arguments->socket);
        daemon.control_socket = std::move(arguments->control_socket);
        daemon.options = std::move(arguments->options);
    }
}

/// Whether the socket is libvirt's ".../domain-ID-NAME/ALIAS-fs.sock" of this domain. NAME is cut
/// after 20 characters.
bool is_in_directory_of(std::string_view socket, std::string_view name) {
    constexpr std::string_view prefix = "domain-";
    constexpr std::size_t longest = 20;
    const auto slash = socket.rfind('/');
    const auto directory = slash == std::string_view::npos ? "" : socket.substr(0, slash);
    auto last = directory.substr(directory.rfind('/') + 1);
    if (!last.starts_with(prefix)) {
        return false;
    }
    last.remove_prefix(prefix.size());
    const auto dash = last.find('-');
    const auto cut = dash == std::string_view::npos ? "" : last.substr(dash + 1);
    return cut == name || (cut.size() >= longest && name.starts_with(cut));
}

/// The part of collect_daemons() that knows the world around a daemon.
class DaemonJoiner {
public:
    DaemonJoiner(const Places& places,
                 const std::vector<MappedPath>& paths,
                 const std::vector<RunningGuest>& guests,
                 ProgramCache& programs)
        : places_{places}, paths_{paths}, guests_{guests}, programs_{programs} {}

    /// `server` is the process that serves: a child that a sandbox put elsewhere, or the same.
    DaemonFacts describe(const Process& process, const Process& server) {
        DaemonFacts daemon;
        daemon.pid = process.pid;
        daemon.started_at = process.started_at;
        daemon.binary = process.binary;
        daemon.is_binary_replaced = process.is_binary_deleted;
        take_arguments(daemon, std::span{process.argv}.subspan(1));
        if (const auto info = programs_.virtiofsd(running_program(places_, process))) {
            daemon.kind = kind_of(*info);
            daemon.version = info->version;
        }
        find_guest(daemon, process, server);
        find_dirid(daemon);
        find_submounts_of(daemon, process, server);
        return daemon;
    }

    void find_dirid(DaemonFacts& daemon) const {
        for (const auto& mapped : paths_) {
            const bool is_of_path = mapped.path == daemon.shared_dir;
            // The tag decides between mappings of one directory.
            if (is_of_path && (!daemon.dirid || daemon.tag == mapped.dirid)) {
                daemon.dirid = mapped.dirid;
            }
        }
    }

private:
    void find_guest(DaemonFacts& daemon, const Process& process, const Process& server) const {
        auto sockets = find_socket_paths(places_.proc, process.pid);
        const auto more = find_socket_paths(places_.proc, server.pid);
        sockets.insert(sockets.end(), more.begin(), more.end());
        if (daemon.socket) {
            sockets.push_back(*daemon.socket);
        }
        for (const auto& guest : guests_) {
            for (const auto& share : guest.shares) {
                if (std::ranges::find(sockets, share.socket) == sockets.end()) {
                    continue;
                }
                daemon.vm = guest.facts.vmid ? std::to_string(*guest.facts.vmid) : guest.facts.name;
                daemon.tag = share.tag;
                daemon.socket = share.socket;
                daemon.manager = guest.facts.manager;
            }
        }
        if (!daemon.socket && sockets.size() == 1) {
            daemon.socket = sockets.front();
        }
        if (!daemon.vm && daemon.socket) {
            find_guest_by_directory(daemon);
        }
        // A guest may have a share that its manager did not start the daemon of.
        const bool is_given_socket = std::ranges::any_of(daemon.argv, [](const auto& word) {
            return word == "--fd" || word.starts_with("--fd=");
        });
        if (daemon.manager == Manager::libvirt && !is_given_socket) {
            daemon.manager = Manager::other;
        }
    }

    /// A share that was attached to a running guest does not stand in QEMU's arguments, but its
    /// socket is in the directory that libvirt keeps for the domain.
    void find_guest_by_directory(DaemonFacts& daemon) const {
        const RunningGuest* found = nullptr;
        for (const auto& guest : guests_) {
            const bool is_of_it = guest.facts.manager == Manager::libvirt &&
                                  is_in_directory_of(*daemon.socket, guest.facts.name);
            if (is_of_it && found != nullptr) {
                return; // two names that begin alike: nobody can tell
            }
            found = is_of_it ? &guest : found;
        }
        if (found != nullptr) {
            daemon.vm = found->facts.name;
            daemon.manager = Manager::libvirt;
        }
    }

    void
    find_submounts_of(DaemonFacts& daemon, const Process& process, const Process& server) const {
        const auto mounts = read_mounts(places_.proc, std::to_string(server.pid));
        if (!mounts || daemon.shared_dir.empty()) {
            return;
        }
        // In its sandbox the shared directory is the root, with a procfs of the daemon's own.
        const bool is_inside =
            process.pid != server.pid ||
            (daemon.options && daemon.options->sandbox == share::SandboxMode::namespaces);
        daemon.submounts.emplace();
        for (const auto& mount : find_submounts(*mounts, is_inside ? "/" : daemon.shared_dir)) {
            if (mount.fs_type != "proc") {
                daemon.submounts->push_back(mount.path);
            }
        }
    }

    const Places& places_;
    const std::vector<MappedPath>& paths_;
    const std::vector<RunningGuest>& guests_;
    ProgramCache& programs_;
};

void take_record(DaemonFacts& daemon, const Record& record) {
    daemon.manager = Manager::vfskit;
    daemon.vm = record.vm;
    daemon.tag = record.tag;
    daemon.socket = record.socket;
    if (record.dirid) {
        daemon.dirid = record.dirid;
    }
    if (record.control) {
        daemon.control_socket = record.control;
    }
}

DaemonFacts dead_daemon(const Record& record) {
    DaemonFacts daemon;
    if (!record.argv.empty()) {
        daemon.binary = record.argv.front();
        take_arguments(daemon, std::span{record.argv}.subspan(1));
    }
    daemon.is_alive = false;
    daemon.pid = record.pid;
    daemon.shared_dir = record.shared_dir;
    take_record(daemon, record);
    return daemon;
}

/// The child that serves, where a sandbox made one; else the process itself.
const Process& find_server(const std::vector<Process>& processes, const Process& process) {
    const auto child = std::ranges::find(processes, process.pid, &Process::parent);
    return child == processes.end() ? process : *child;
}

/// Huge pages are where files of a hugetlbfs are mapped from.
GuestMemoryFacts memory_of(const Places& places, const Process& process, const QemuMemory& memory) {
    auto facts = memory.facts;
    const auto mounts = read_mounts(places.proc, std::to_string(process.pid));
    if (facts.has_hugepages || !mounts) {
        return facts;
    }
    facts.has_hugepages = false;
    for (const auto& file : memory.files) {
        const auto* const mount = find_mount(*mounts, file);
        if (mount == nullptr || mount->fs_type != "hugetlbfs") {
            continue;
        }
        facts.has_hugepages = true;
        for (const std::string_view option : mount->options) {
            if (option.starts_with("pagesize=")) {
                if (const auto size = base::parse_size(option.substr(option.find('=') + 1))) {
                    facts.hugepage_bytes = *size;
                }
            }
        }
    }
    return facts;
}

} // namespace

BinaryKind kind_of(const share::DaemonInfo& daemon) {
    switch (daemon.dialect) {
    case share::Dialect::c_daemon:
        return BinaryKind::c;
    case share::Dialect::bundled:
        return BinaryKind::bundled;
    case share::Dialect::rust_1_0:
    case share::Dialect::rust_1_11:
    case share::Dialect::rust_1_14:
        return BinaryKind::rust;
    }
    return BinaryKind::rust;
}

std::vector<RunningGuest> collect_guests(const Places& places, Time boot, ProgramCache& programs) {
    const std::vector<std::string_view> names{
        "qemu-system-x86_64", "qemu-system-aarch64", "qemu-system-riscv64", "qemu-kvm", "kvm"};
    std::vector<RunningGuest> guests;
    for (const auto& process : find_processes(places.proc, names, boot)) {
        auto arguments = parse_qemu_arguments(std::span{process.argv}.subspan(1));
        if (!is_qemu(process)) {
            continue;
        }
        GuestFacts facts{.name = arguments.name.value_or("pid " + std::to_string(process.pid)),
                         .uuid = arguments.uuid,
                         .vmid = arguments.vmid,
                         .pid = process.pid,
                         .started_at = process.started_at,
                         .manager = arguments.vmid          ? Manager::pve
                                    : arguments.is_libvirts ? Manager::libvirt
                                                            : Manager::other,
                         .binary = process.binary.empty() ? process.argv.front() : process.binary,
                         .version = programs.version(running_program(places, process)),
                         .memory = memory_of(places, process, arguments.memory)};
        guests.push_back({.facts = std::move(facts), .shares = std::move(arguments.shares)});
    }
    std::ranges::sort(guests, {}, [](const RunningGuest& guest) { return guest.facts.name; });
    return guests;
}

std::vector<DaemonFacts> collect_daemons(const Places& places,
                                         const std::vector<MappedPath>& paths,
                                         const std::vector<RunningGuest>& guests,
                                         Time boot,
                                         ProgramCache& programs) {
    const auto processes = find_processes(places.proc, {"virtiofsd"}, boot);
    auto records = read_records(places.run_dir);
    DaemonJoiner joiner{places, paths, guests, programs};
    std::vector<DaemonFacts> daemons;
    for (const auto& process : processes) {
        if (std::ranges::find(processes, process.parent, &Process::pid) != processes.end()) {
            continue; // the server of its parent's sandbox
        }
        auto daemon = joiner.describe(process, find_server(processes, process));
        const auto record = std::ranges::find_if(records, [&](const Record& candidate) {
            const bool is_process =
                candidate.pid == process.pid &&
                (candidate.start_ticks == 0 || candidate.start_ticks == process.start_ticks);
            return is_process || (!candidate.socket.empty() && daemon.socket == candidate.socket);
        });
        if (record != records.end()) {
            take_record(daemon, *record);
            records.erase(record);
        }
        daemons.push_back(std::move(daemon));
    }
    for (const auto& record : records) {
        auto daemon = dead_daemon(record);
        if (!daemon.dirid) {
            joiner.find_dirid(daemon);
        }
        daemons.push_back(std::move(daemon));
    }
    std::ranges::sort(daemons, {}, [](const DaemonFacts& daemon) {
        return std::tuple{daemon.vm, daemon.tag, !daemon.is_alive, daemon.pid};
    });
    return daemons;
}

} // namespace vfskit::node

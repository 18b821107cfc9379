// SPDX-License-Identifier: Apache-2.0
// What is installed: virtiofsd, QEMU, libvirt, Proxmox VE.
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/node/collect_parts.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

namespace vfskit::node {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file = 4 << 20;

bool is_executable(const std::string& path) {
    std::error_code failed;
    return fs::is_regular_file(path, failed) && ::access(path.c_str(), X_OK) == 0;
}

/// The vhost-user JSON files that offer a filesystem daemon, as libvirt would look at them: by file
/// name, a file in /etc/qemu instead of one of the same name in /usr/share/qemu.
std::vector<std::pair<std::string, std::string>> find_offers(const std::string& root) {
    std::map<std::string, std::string> files; // by name
    for (const auto* directory : {"/etc/qemu/vhost-user", "/usr/share/qemu/vhost-user"}) {
        std::error_code failed;
        fs::directory_iterator entries{root + directory, failed};
        for (; !failed && entries != fs::directory_iterator{}; entries.increment(failed)) {
            if (entries->path().extension() == ".json") {
                files.emplace(entries->path().filename().string(),
                              std::string{directory} + "/" + entries->path().filename().string());
            }
        }
    }
    std::vector<std::pair<std::string, std::string>> offers;
    for (const auto& [name, path] : files) {
        const auto text = base::read_file(root + path, max_file);
        const auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json{};
        const auto is_text = [&](const char* key) {
            return json.is_object() && json.contains(key) && json[key].is_string();
        };
        if (is_text("type") && is_text("binary") && json["type"] == "fs") {
            offers.emplace_back(path, json["binary"].get<std::string>());
        }
    }
    return offers;
}

/// What our libvirt hook puts into shares: its daemon and the wrapper that knows the method.
std::vector<std::string> find_hook_binaries(const std::string& root) {
    std::vector<std::string> paths{"/usr/bin/vfskit-virtiofsd"};
    const auto text = base::read_file(root + "/etc/vfskit/libvirt.conf", max_file);
    for (const auto line : base::split(text ? std::string_view{*text} : "", '\n')) {
        const auto equals = line.find('=');
        const auto key = base::trim(line.substr(0, equals));
        if (equals != std::string_view::npos && (key == "daemon" || key == "wrapper")) {
            paths.emplace_back(base::trim(line.substr(equals + 1)));
        }
    }
    return paths;
}

BinaryFacts examine(const std::string& path, const Places& places, ProgramCache& programs) {
    BinaryFacts binary;
    binary.path = path;
    const auto info = programs.virtiofsd(places.root + path);
    if (info) {
        binary.kind = kind_of(*info);
        binary.version = info->version;
        binary.features = info->features;
    } else {
        binary.problem = info.error().describe();
    }
    return binary;
}

std::vector<BinaryFacts> values_of(std::map<std::string, BinaryFacts> binaries) {
    std::vector<BinaryFacts> sorted;
    for (auto& [path, binary] : binaries) {
        sorted.push_back(std::move(binary));
    }
    return sorted;
}

/// The time of a process with one of the names, and which it was.
std::optional<Process> find_libvirt_daemon(const Places& places, Time boot) {
    auto processes = find_processes(places.proc, {"virtqemud", "libvirtd"}, boot);
    return processes.empty() ? std::nullopt : std::optional{std::move(processes.front())};
}

/// When somebody last put a hook there: its inode's time of change.
std::optional<Time> changed_at(const std::string& path) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        return std::nullopt;
    }
    return Time{std::chrono::seconds{file.st_ctim.tv_sec} +
                std::chrono::milliseconds{file.st_ctim.tv_nsec / 1'000'000}};
}

/// libvirt runs all hooks once it has seen one: at its start or when it was told to reload.
std::optional<bool> is_hook_loaded(const std::string& root, const std::optional<Time>& started) {
    std::vector<std::string> hooks{root + "/etc/libvirt/hooks/qemu"};
    std::error_code failed;
    fs::directory_iterator entries{root + "/etc/libvirt/hooks/qemu.d", failed};
    for (; !failed && entries != fs::directory_iterator{}; entries.increment(failed)) {
        hooks.push_back(entries->path().string());
    }
    bool any = false;
    for (const auto& hook : hooks) {
        if (!is_executable(hook)) {
            continue;
        }
        any = true;
        const auto changed = changed_at(hook);
        if (started && changed && *changed < *started) {
            return true;
        }
    }
    // Younger than the daemon: it may have been told to reload since, and does not say.
    return any ? std::nullopt : std::optional{false};
}

/// Versions of Debian packages; those that are not installed are missing.
std::map<std::string, std::string> package_versions(const Places& places,
                                                    std::vector<std::string> names) {
    std::vector<std::string> words{"-W", "-f", "${Package} ${db:Status-Status} ${Version}\n"};
    words.insert(words.end(), names.begin(), names.end());
    std::map<std::string, std::string> versions;
    // Exit status 1 when one of them is not known; the others are printed.
    if (const auto output = places.run({.program = "dpkg-query", .args = std::move(words)})) {
        for (const auto line : base::split(output->out, '\n')) {
            const auto parts = base::split(line, ' ');
            if (parts.size() == 3 && parts[1] == "installed") {
                versions[std::string{parts[0]}] = parts[2];
            }
        }
    }
    return versions;
}

std::optional<std::string> get(const std::map<std::string, std::string>& versions,
                               const std::string& name) {
    const auto found = versions.find(name);
    return found == versions.end() ? std::nullopt : std::optional{found->second};
}

/// "our $VERSION = '0.1.0';" of the plugin's front module.
std::optional<std::string> plugin_version(const std::string& root) {
    constexpr std::string_view key = "our $VERSION = '";
    const auto text = base::read_file(root + "/usr/share/perl5/PVE/Vfskit.pm", max_file);
    const auto begin = text ? text->find(key) : std::string::npos;
    if (begin == std::string::npos) {
        return std::nullopt;
    }
    const auto version = std::string_view{*text}.substr(begin + key.size());
    return std::string{version.substr(0, version.find('\''))};
}

/// The plugin wraps the migrations of this Proxmox VE, being one that it was tested with.
std::optional<bool> fits_plugin(const Places& places) {
    const auto output = places.run(
        {.program = "/usr/bin/perl",
         .args = {"-MPVE::Vfskit::Contract",
                  "-e",
                  "print PVE::Vfskit::Contract::doubts_about_migrations() ? 'no' : 'yes'"}});
    if (!output || (output->out != "yes" && output->out != "no")) {
        return std::nullopt;
    }
    return output->out == "yes";
}

bool is_same_file(const std::string& a, const std::string& b) {
    struct stat first {};
    struct stat second {};
    return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

} // namespace

std::vector<BinaryFacts> examine_virtiofsds(const std::vector<std::string>& paths,
                                            bool wants_libvirt_default,
                                            const Places& places,
                                            ProgramCache& programs) {
    auto wanted = paths;
    const auto offers = wants_libvirt_default ? find_offers(places.root)
                                              : std::vector<std::pair<std::string, std::string>>{};
    const auto chosen = std::ranges::find_if(
        offers, [&](const auto& offer) { return is_executable(places.root + offer.second); });
    if (chosen != offers.end()) {
        wanted.push_back(chosen->second);
    }
    std::map<std::string, BinaryFacts> binaries;
    for (const auto& path : wanted) {
        if (!binaries.contains(path) && is_executable(places.root + path)) {
            auto binary = examine(path, places, programs);
            binary.is_libvirt_default = chosen != offers.end() && path == chosen->second;
            binaries.emplace(path, std::move(binary));
        }
    }
    return values_of(std::move(binaries));
}

std::vector<BinaryFacts> collect_virtiofsds(const Places& places, ProgramCache& programs) {
    std::map<std::string, BinaryFacts> binaries;
    auto paths = find_hook_binaries(places.root);
    paths.insert(paths.end(),
                 {"/usr/libexec/virtiofsd",
                  "/usr/libexec/virtiofsd.distrib",
                  "/usr/libexec/vfskit/virtiofsd",
                  "/usr/lib/qemu/virtiofsd",
                  "/usr/local/libexec/virtiofsd"});
    for (const auto& path : paths) {
        if (!binaries.contains(path) && is_executable(places.root + path)) {
            binaries.emplace(path, examine(path, places, programs));
        }
    }
    bool has_default = false;
    for (const auto& [file, path] : find_offers(places.root)) {
        auto found = binaries.find(path);
        if (found == binaries.end()) {
            found = binaries.emplace(path, examine(path, places, programs)).first;
        }
        found->second.vhost_user_files.push_back(file);
        if (!has_default && is_executable(places.root + path)) {
            found->second.is_libvirt_default = has_default = true;
        }
    }
    return values_of(std::move(binaries));
}

std::vector<EmulatorFacts> collect_qemus(const Places& places,
                                         const std::vector<RunningGuest>& guests,
                                         ProgramCache& programs) {
    utsname names{};
    const std::string machine = ::uname(&names) == 0 ? names.machine : "x86_64";
    std::map<std::string, EmulatorFacts> emulators;
    const auto add = [&](const std::string& path) {
        if (is_executable(places.root + path)) {
            emulators.emplace(
                path, EmulatorFacts{.path = path, .version = programs.version(places.root + path)});
        }
    };
    add("/usr/bin/qemu-system-" + machine);
    add("/usr/bin/kvm");
    add("/usr/libexec/qemu-kvm");
    for (const auto& guest : guests) {
        add(guest.facts.binary);
    }
    std::vector<EmulatorFacts> sorted;
    for (auto& [path, emulator] : emulators) {
        sorted.push_back(std::move(emulator));
    }
    return sorted;
}

std::optional<LibvirtFacts>
collect_libvirt(const Places& places, Time boot, ProgramCache& programs) {
    std::string program;
    for (const auto* path : {"/usr/sbin/virtqemud", "/usr/sbin/libvirtd"}) {
        if (program.empty() && is_executable(places.root + path)) {
            program = path;
        }
    }
    const auto daemon = find_libvirt_daemon(places, boot);
    if (program.empty() && !daemon) {
        return std::nullopt;
    }
    LibvirtFacts libvirt;
    libvirt.is_running = daemon.has_value();
    if (daemon) {
        libvirt.daemon = daemon->name;
        libvirt.started_at = daemon->started_at;
        // As it runs, not as an upgrade left the file.
        libvirt.version =
            programs.version(places.proc + "/" + std::to_string(daemon->pid) + "/exe");
    } else {
        libvirt.daemon = file_name(program);
        libvirt.version = programs.version(places.root + program);
    }
    libvirt.hook.path = "/etc/libvirt/hooks/qemu.d/vfskit";
    libvirt.hook.is_installed = is_executable(places.root + libvirt.hook.path);
    if (libvirt.hook.is_installed) {
        libvirt.hook.is_loaded = is_hook_loaded(places.root, libvirt.started_at);
    }
    return libvirt;
}

std::optional<PveFacts> collect_pve(const Places& places) {
    struct stat local {};
    const bool is_cluster = ::lstat((places.root + "/etc/pve/local").c_str(), &local) == 0;
    if (!is_cluster && !fs::exists(places.root + "/usr/share/perl5/PVE/QemuServer.pm")) {
        return std::nullopt;
    }
    PveFacts pve;
    const auto versions = package_versions(places, {"pve-manager", "qemu-server"});
    pve.manager_version = get(versions, "pve-manager");
    pve.qemu_server_version = get(versions, "qemu-server");
    pve.plugin_version = plugin_version(places.root);
    // The stand-ins of the modules that migrate: of Proxmox VE 9 and of 8.
    std::error_code failed;
    const bool has_stand_in =
        fs::exists(places.root + "/etc/perl/PVE/QemuMigrate/Helpers.pm", failed) ||
        fs::exists(places.root + "/etc/perl/PVE/QemuServer.pm", failed);
    pve.has_return_path = pve.plugin_version && has_stand_in ? fits_plugin(places) : false;
    pve.has_launcher = is_same_file(places.root + "/usr/libexec/virtiofsd",
                                    places.root + "/usr/libexec/vfskit/virtiofsd-launcher");
    if (is_cluster) {
        // pmxcfs takes the write bits away with the quorum.
        pve.is_quorate = (local.st_mode & S_IWUSR) != 0;
    }
    return pve;
}

} // namespace vfskit::node

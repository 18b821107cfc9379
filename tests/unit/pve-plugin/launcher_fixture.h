// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/unique_fd.h"
#include "pve-plugin/launcher/decision.h"
#include "tests/support/temp_dir.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::pve_plugin {

/// Listens at `path`, as Proxmox VE does before it starts virtiofsd.
inline UniqueFd listen_at(const std::string& path) {
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd.get(), 1) != 0) {
        throw std::runtime_error("cannot listen at " + path);
    }
    return fd;
}

/// A cluster's files as pmxcfs shows them on node n1, with VM 114 that has virtiofs1.
class FakeCluster {
public:
    FakeCluster() {
        std::filesystem::create_directories(dir_.path("pve/mapping"));
        std::filesystem::create_directories(dir_.path("pve/nodes/n1/qemu-server"));
        std::filesystem::create_directories(dir_.path("pve/nodes/n2/qemu-server"));
        std::filesystem::create_directory_symlink("nodes/n1", dir_.path("pve/local"));
        std::filesystem::create_directories(dir_.path("run"));
        write_vm("n1", "memory: 512\nvirtiofs1: media,cache=never\n");
        write_mapping("");
        socket_ = listen_at(dir_.path("run/vm114-fs1"));
    }

    void write_vm(const std::string& node, std::string_view content) const {
        dir_.write("pve/nodes/" + node + "/qemu-server/114.conf", content);
    }
    void remove_vm(const std::string& node) const {
        std::filesystem::remove(dir_.path("pve/nodes/" + node + "/qemu-server/114.conf"));
    }
    /// Mapping "media" on n1 and n2 with more property lines ("live-migration-method find-paths").
    void write_mapping(const std::vector<std::string>& properties) const {
        std::string content = "media\n\tmap node=n1,path=/srv/media\n\tmap node=n2,path=/srv/two\n";
        for (const auto& property : properties) {
            content += "\t" + property + "\n";
        }
        dir_.write("pve/mapping/directory.cfg", content + "\n");
    }
    void write_mapping(const std::string& property) const {
        write_mapping(property.empty() ? std::vector<std::string>{}
                                       : std::vector<std::string>{property});
    }

    [[nodiscard]] Settings settings() const {
        Settings settings;
        settings.bundled_daemon = "/bundled";
        settings.system_daemon = "/system";
        settings.pve_root = dir_.path("pve");
        return settings;
    }
    [[nodiscard]] const test::TempDir& dir() const { return dir_; }
    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] std::string fd_option() const { return fmt::format("--fd={}", socket_.get()); }

    /// What Proxmox VE passes for the device.
    [[nodiscard]] std::vector<std::string> stock_arguments() const {
        return {fd_option(),
                "--shared-dir=/srv/media",
                "--announce-submounts",
                "--cache=never",
                "--syslog"};
    }

private:
    test::TempDir dir_;
    UniqueFd socket_;
};

/// Daemons that answer what they are asked: "/bundled", and "/system" with this version.
inline share::ProcessRunner stub_daemons(std::string system_version) {
    return [version =
                std::move(system_version)](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        const bool is_bundled = spec.program == "/bundled";
        if (spec.args.front() == "--version") {
            const auto ours = is_bundled ? std::string{"1.14.0 (vfskit 0.1.0)"} : version;
            return base::ProcessOutput{0, "virtiofsd " + ours + "\n", ""};
        }
        return base::ProcessOutput{
            0,
            is_bundled ? R"({"type":"fs","features":["migrate-precopy","vfskit-control-socket"]})"
                       : R"({"type":"fs","features":["migrate-precopy"]})",
            ""};
    };
}

} // namespace vfskit::pve_plugin

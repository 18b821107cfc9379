// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/running_daemons.h"

#include "core/base/text.h"
#include "vfsctl/output/output.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace vfskit::vfsctl {

using control::DaemonSocket;

namespace {

std::string did_you_mean(const std::string& word,
                         const std::vector<DaemonSocket>& sockets,
                         std::string DaemonSocket::*member) {
    std::vector<std::string_view> known;
    std::ranges::transform(sockets, std::back_inserter(known), member);
    const auto near = base::nearest(word, known);
    return near ? fmt::format("Did you mean '{}'?", *near)
                : "See 'vfsctl daemon status' for those that run";
}

// Keeps those whose `member` is `word`; ENOENT, with `what` in front, when none is left.
Result<void> keep(std::vector<DaemonSocket>& sockets,
                  const std::string& word,
                  std::string DaemonSocket::*member,
                  const std::string& what) {
    auto kept = sockets;
    std::erase_if(kept, [&](const DaemonSocket& socket) { return socket.*member != word; });
    if (kept.empty()) {
        return Error{ENOENT, what}.with_remedy(did_you_mean(word, sockets, member));
    }
    sockets = std::move(kept);
    return {};
}

} // namespace

void bind_daemon_choice(DaemonChoice& choice, OptionSet& set) {
    set.text({.name = "VM", .help = "Name or VMID of the VM; without it: of every VM"}, choice.vm)
        .text({.name = "TAG", .help = "The tag of the share; without it: every share of the VM"},
              choice.tag)
        .text({.name = "--control-socket",
               .value = "PATH",
               .help = "The daemon's control socket, where it is not /run/vfskit/VM/TAG.control",
               .completes = Completes::file},
              choice.control_socket);
}

std::string run_dir_of(const Services& services) {
    auto given = services.environment.variable("VFSKIT_RUN_DIR");
    return given.empty() ? std::string{control::default_run_dir} : given;
}

Result<std::vector<DaemonSocket>> find_daemons(const DaemonChoice& choice,
                                               const Services& services) {
    if (choice.control_socket) {
        if (choice.vm) {
            return Error{EINVAL, "--control-socket names one daemon, and VM another"}.with_remedy(
                "Leave one of them out");
        }
        return std::vector{DaemonSocket{"", "", *choice.control_socket}};
    }
    const auto run_dir = run_dir_of(services);
    VFSKIT_TRY_ASSIGN(auto sockets, control::find_daemon_sockets(run_dir));
    if (choice.vm) {
        VFSKIT_TRY(keep(sockets,
                        *choice.vm,
                        &DaemonSocket::vm,
                        fmt::format("No daemon of a VM '{}' has a control socket below '{}'",
                                    *choice.vm,
                                    run_dir)));
    }
    if (choice.tag) {
        VFSKIT_TRY(keep(sockets,
                        *choice.tag,
                        &DaemonSocket::tag,
                        fmt::format("No daemon of VM '{}' with tag '{}' has a control socket "
                                    "below '{}'",
                                    choice.vm.value_or(""),
                                    *choice.tag,
                                    run_dir)));
    }
    return sockets;
}

std::string name_of(const DaemonSocket& socket) {
    return socket.vm.empty() ? socket.path : fmt::format("{}/{}", socket.vm, socket.tag);
}

nlohmann::ordered_json to_json(const DaemonSocket& socket) {
    auto json = nlohmann::ordered_json::object();
    if (!socket.vm.empty()) {
        json["vm"] = to_utf8(socket.vm);
        json["tag"] = to_utf8(socket.tag);
    }
    json["control-socket"] = to_utf8(socket.path);
    return json;
}

nlohmann::ordered_json failure_to_json(const Error& error) {
    return {{"message", to_utf8(error.message())}, {"remedy", to_utf8(error.remedy())}};
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// How a VM is to be moved, and by which road.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::check {

/// Spelled live, offline, save, snapshot. Proxmox VE's hibernate is a save.
enum class Operation {
    live,     ///< the guest runs on while its memory is copied
    offline,  ///< only the definition moves; the guest is stopped
    save,     ///< memory into a file (libvirt's save and managedsave, PVE's hibernate)
    snapshot, ///< a snapshot with memory
};
std::string_view to_string(Operation operation);
/// EINVAL with the allowed words and "did you mean".
Result<Operation> parse_operation(std::string_view word);

/// What QEMU's migration URI leads to.
enum class Transport { unix_socket, tcp, file, other };
/// "unix:/path", "tcp:host:port", "tcp://host:port", "file:/path", "exec:…", "fd:…". EINVAL for a
/// text without a scheme.
Result<Transport> parse_transport(std::string_view uri);

/// QEMU features that hand descriptors to the destination. Spelled none, backend-transfer,
/// cpr-transfer.
enum class DescriptorTransfer { none, backend_transfer, cpr_transfer };
std::string_view to_string(DescriptorTransfer transfer);
Result<DescriptorTransfer> parse_descriptor_transfer(std::string_view word);

using Moment = std::chrono::sys_time<std::chrono::milliseconds>;

/// A plain value; the defaults are an ordinary live migration.
struct Migration {
    Operation operation = Operation::live;
    bool post_copy = false;
    bool persistent = false;   ///< libvirt's --persistent
    bool persist_xml = false;  ///< … with --persistent-xml for the target
    bool rewrites_xml = false; ///< the sender gives a destination XML made for the target
    /// The target's libvirt has accepted the guest and its hook asks: the versions of libvirt and
    /// QEMU there are no longer ours to judge.
    bool has_begun = false;
    /// Absent: tcp between two hosts, as libvirt and Proxmox VE use it.
    std::optional<Transport> transport;
    DescriptorTransfer descriptor_transfer = DescriptorTransfer::none;
    /// QEMU's return-path capability, where the caller knows what it will be. Absent: as libvirt
    /// (on) and as the Proxmox VE nodes' facts say.
    std::optional<bool> return_path;
    /// The time now; facts older than max_facts_age are no ground to decide on. No `now`: ages are
    /// not judged (the facts were collected for this very check).
    std::optional<Moment> now;
    std::chrono::seconds max_facts_age{600};

    /// The guest's memory and devices travel: everything but offline.
    [[nodiscard]] bool moves_state() const { return operation != Operation::offline; }
    /// Another node takes over.
    [[nodiscard]] bool has_target() const {
        return operation == Operation::live || operation == Operation::offline;
    }
};

} // namespace vfskit::check

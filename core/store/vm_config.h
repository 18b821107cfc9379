// SPDX-License-Identifier: Apache-2.0
// Which VMs of a Proxmox cluster use which directory mappings, read from their configuration files.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::store {

/// One virtiofsN line: "[dirid=]ID[,cache=…][,direct-io=B][,expose-acl=B][,expose-xattr=B]".
struct VirtiofsDevice {
    int index = 0; ///< the N, 0 to 9
    std::string dirid;
    std::optional<std::string> cache; ///< auto, always, metadata or never
    bool direct_io = false;
    bool expose_acl = false;
    bool expose_xattr = false;
    std::string raw;      ///< the value as it stands in the file
    std::size_t line = 0; ///< 1-based

    bool operator==(const VirtiofsDevice&) const = default;
};

/// What is wrong with a line that uses our keys; Proxmox VE warns and drops the key.
struct VmConfigNotice {
    std::size_t line = 0;
    std::string message;
    bool operator==(const VmConfigNotice&) const = default;
};

/// The state of a VM in one section of its file.
struct VmSection {
    std::string name; ///< "" for the current state, "PENDING", or the snapshot's name
    std::vector<VirtiofsDevice> devices; ///< by index
    std::vector<int> deleted;            ///< PENDING only: virtiofsN that the next start removes
    std::optional<std::string> lock;     ///< migrate, suspended, snapshot, …
    std::optional<std::string> ostype;   ///< l26, win11, …: Windows gets other virtiofsd flags
    std::optional<std::string> vmstate;  ///< volume with the saved memory, if any
    std::optional<std::string> parent;   ///< the snapshot this state descends from
    bool is_template = false;
    /// Every "key: value" line, ours and others, as it stands and in the file's order.
    std::vector<std::pair<std::string, std::string>> values;
    bool operator==(const VmSection&) const = default;

    /// The value of a key, the last one where it stands twice; or nothing.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;
};

struct VmConfig {
    int vmid = 0;
    std::string node;
    std::string path;
    VmSection current;
    VmSection pending;
    std::vector<VmSection> snapshots; ///< in the file's order
    std::vector<VmConfigNotice> notices;

    bool operator==(const VmConfig&) const = default;
    /// The devices the VM has after its next full stop and start.
    [[nodiscard]] std::vector<VirtiofsDevice> devices_after_restart() const;
};

/// Parses the content of one <vmid>.conf; never fails, as Proxmox VE does not: see `notices`.
/// vmid, node and path are left to the caller.
VmConfig parse_vm_config(std::string_view content);

/// The value of one virtiofsN key. EINVAL says what Proxmox VE would warn about.
Result<VirtiofsDevice> parse_virtiofs_device(int index, std::string_view value);

/// Every <root>/nodes/NODE/qemu-server/VMID.conf, ordered by VMID. A root without nodes gives
/// nothing; a file that vanishes while reading (a VM that migrates) is looked for again under the
/// other nodes. EACCES … of a file is an Error that names it.
Result<std::vector<VmConfig>> read_vm_configs(const std::string& root);

/// The configuration of one VM, wherever in the cluster it is: one file is read, not all of them.
/// `near` is looked at first. ENOENT when no node has the VM.
Result<VmConfig> read_vm_config(const std::string& root, int vmid, const std::string& near);

} // namespace vfskit::store

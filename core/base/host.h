// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace vfskit::base {

/// What this machine is called as a node: uname's nodename up to the first dot, as Proxmox VE cuts
/// it. "localhost" where the kernel does not say.
std::string host_node_name();

} // namespace vfskit::base

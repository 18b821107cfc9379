// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/libvirt/connection.h"

#include <memory>
#include <string>

namespace vfskit::vfsctl {

/// Loads the libvirt module (once per process) and connects. ENOENT when the module or libvirt
/// itself is not installed, with the package to install.
Result<std::unique_ptr<LibvirtConnection>> connect_libvirt(const std::string& uri);

} // namespace vfskit::vfsctl

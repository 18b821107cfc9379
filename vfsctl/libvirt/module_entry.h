// SPDX-License-Identifier: Apache-2.0
// What vfsctl and its libvirt module agree on. Both are of one build: the module says its version,
// so that a mixed installation is an error and not a crash.
#pragma once

#include "vfsctl/libvirt/connection.h"

#include <memory>
#include <string>

namespace vfskit::vfsctl {

struct LibvirtModule {
    const char* version;
    Result<std::unique_ptr<LibvirtConnection>> (*open)(const std::string& uri);
};

/// The symbol of the module's LibvirtModule.
inline constexpr const char* libvirt_module_symbol = "vfskit_libvirt_module";

} // namespace vfskit::vfsctl

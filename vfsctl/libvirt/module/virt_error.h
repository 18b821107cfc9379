// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <string_view>

namespace vfskit::vfsctl {

/// What libvirt says of the call that just failed in this thread, as an Error: "<doing>: <its
/// sentence>".
Error last_virt_error(std::string_view doing);

} // namespace vfskit::vfsctl

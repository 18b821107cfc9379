// SPDX-License-Identifier: Apache-2.0
#include "core/base/host.h"

#include <sys/utsname.h>

#include <string_view>

namespace vfskit::base {

std::string host_node_name() {
    utsname names{};
    if (::uname(&names) != 0) {
        return "localhost";
    }
    const std::string_view nodename{names.nodename};
    return std::string{nodename.substr(0, nodename.find('.'))};
}

} // namespace vfskit::base

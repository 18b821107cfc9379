// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/name.h"

namespace vfskit::fuse {

Outcome<Name> Name::parse(CString text) {
    const auto view = text.view();
    if (view.empty() || view == "." || view == "..") {
        return Errno{EINVAL};
    }
    if (view.size() > max_size) {
        return Errno{ENAMETOOLONG};
    }
    if (view.find('/') != std::string_view::npos) {
        return Errno{EINVAL};
    }
    return Name{text};
}

} // namespace vfskit::fuse

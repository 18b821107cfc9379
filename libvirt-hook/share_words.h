// SPDX-License-Identifier: Apache-2.0
// A share's options as our metadata keeps them, <share tag= dirid= cache='always' xattr='on'/>, and
// as vfsctl takes them.
#pragma once

#include "core/base/result.h"
#include "core/domain/domain_xml.h"

#include <string>
#include <vector>

namespace vfskit::libvirt_hook {

/// "--cache", "always", "--xattr" …. EINVAL for an option that is not one of a share: it may come
/// from a newer vfskit, and to leave it out could give the guest more than was meant.
Result<std::vector<std::string>> words_of(const domain::DomainFilesystem& filesystem);

} // namespace vfskit::libvirt_hook

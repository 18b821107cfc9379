// SPDX-License-Identifier: Apache-2.0
// libvirt's own grammar (RELAX NG), as virt-xml-validate applies it.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>

namespace vfskit::domain {

/// Where Debian's libvirt0 and Fedora's libvirt-libs put it.
inline constexpr std::string_view default_schema_dir = "/usr/share/libvirt/schemas";

/// A whole domain. ENOENT names the package to install when the grammar is missing; EINVAL carries
/// the line and libvirt's view of what is wrong. Slow (the grammar is read anew: tens of
/// milliseconds).
Result<void> validate_domain_xml(std::string_view xml,
                                 const std::string& schema_dir = std::string{default_schema_dir});

/// An element of a domain that can be validated by itself.
enum class Fragment { filesystem, memory_backing, cpu };

/// A lone element. Errors as above.
Result<void> validate_domain_fragment(std::string_view xml,
                                      Fragment fragment,
                                      const std::string& schema_dir = std::string{
                                          default_schema_dir});

} // namespace vfskit::domain

// SPDX-License-Identifier: Apache-2.0
// The oldest versions that migrate a guest with a virtiofs share.
#pragma once

#include "core/domain/libvirt_version.h"
#include "core/node/facts.h"

namespace vfskit::check {

/// Moves the state of vhost-user back-ends (its commit is of October 2023).
inline constexpr node::Version oldest_qemu{.major = 8, .minor = 2, .patch = 0};

/// As domain::LibvirtFeature::migration.
inline node::Version oldest_libvirt() {
    const auto version = domain::known_since(domain::LibvirtFeature::migration);
    return {.major = static_cast<int>(version.major),
            .minor = static_cast<int>(version.minor),
            .patch = static_cast<int>(version.release)};
}

} // namespace vfskit::check

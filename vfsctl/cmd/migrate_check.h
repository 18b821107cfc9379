// SPDX-License-Identifier: Apache-2.0
// What 'vfsctl migrate' asks before a byte is moved: the check, both libvirts, QEMU.
#pragma once

#include "core/base/result.h"
#include "vfsctl/cmd/check_output.h"
#include "vfsctl/cmd/migrate.h"
#include "vfsctl/cmd/migrate_events.h"
#include "vfsctl/libvirt/connection.h"

#include <optional>

namespace vfskit::vfsctl {

/// What 'vfsctl check' says about this very migration; it has one target. Told to `events`.
Result<CheckedVm> check_shares(const MigrateOptions& options,
                               Services& services,
                               LibvirtConnection& source,
                               const DomainState& state,
                               MigrationEvents& events);
/// The worst that was found.
std::optional<check::Severity> worst_of(const CheckedVm& checked);
/// EBUSY when the findings do not let the guest go. Force passes over all of them but those that
/// would cost the guest or its files.
Result<void> judge(const CheckedVm& checked, bool is_forced);

/// What libvirt and QEMU would refuse, or would lose the guest over, and that both libvirts can
/// tell: ENOTSUP, EBUSY. No force passes over it.
Result<void> check_hypervisors(LibvirtConnection& source,
                               LibvirtConnection& destination,
                               const DomainState& state,
                               MigrationEvents& events);

} // namespace vfskit::vfsctl

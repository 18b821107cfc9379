// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <set>
#include <string>
#include <string_view>

namespace vfskit::virtiofsd {

/// Linux capability numbers (capabilities(7)).
using CapabilitySet = std::set<int>;

/// What a privileged daemon keeps: what it needs to act for every user of the guest, as upstream
/// does: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD, SETFCAP; and DAC_READ_SEARCH
/// for open_by_handle_at(2) when inodes or a migration use file handles.
CapabilitySet needed_capabilities(bool uses_file_handles);

/// Applies "+cap:-cap…" (names without CAP_, any case). EINVAL for a bad sign, an unknown or an
/// empty name, with the nearest name; and for "-dac_read_search" while file handles are in use.
Result<CapabilitySet>
modify_capabilities(CapabilitySet set, std::string_view modcaps, bool uses_file_handles);

/// EPERM names what the process lacks of what drop_capabilities() needs: `keep`, and SETPCAP to
/// clear the bounding set. To be asked while the process may still say so: libcap-ng's own way of
/// failing is more than the seccomp filter allows.
Result<void> check_capabilities(const CapabilitySet& keep);

/// Leaves exactly `keep` in the permitted and effective sets and clears the bounding and
/// inheritable ones. For this thread and those it makes: call it before any other thread exists.
Result<void> drop_capabilities(const CapabilitySet& keep);

} // namespace vfskit::virtiofsd

// SPDX-License-Identifier: Apache-2.0
// What a guest needs to mount a share, or to boot from it.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::domain {

/// One share mounted in a guest.
struct GuestMount {
    std::string tag;
    std::string mount_point; ///< absolute, in the guest
    bool readonly = false;
    /// Boot goes on when the share is missing. A guest that needs it to boot sets it to false.
    bool nofail = true;
    std::vector<std::string> options; ///< more mount options, "noatime", "x-systemd.automount"
    std::optional<std::string> dirid; ///< named in comments and descriptions
};

/// One line of fstab(5) with a line feed; blanks and backslashes as octal escapes. EINVAL for what
/// cannot be a tag, a mount point or an option.
Result<std::string> fstab_line(const GuestMount& mount);

struct MountUnit {
    std::string name; ///< "srv-media.mount": systemd demands that it is the escaped mount point
    std::string text;
};

Result<MountUnit> systemd_mount_unit(const GuestMount& mount);

/// `systemd-escape --path`: slashes to dashes, everything but [A-Za-z0-9:_.] to \xNN, a leading dot
/// too,
/// "/" to "-". EINVAL for a path with "..".
Result<std::string> systemd_escape_path(std::string_view path);

enum class RootStyle {
    dracut, ///< root=virtiofs:TAG, mounted by dracut's virtiofs module
    plain,  ///< rootfstype=virtiofs root=TAG, mounted by a kernel without initramfs
};

/// The kernel parameters for a root file system on the share. EINVAL when the tag has blanks or
/// quotes that the kernel command line cannot carry.
Result<std::string> kernel_root_arguments(std::string_view tag, RootStyle style, bool readonly);

/// "#cloud-config" user data that writes, enables and starts one mount unit each. Not "mounts:":
/// cloud-init drops an entry whose device is no block device, and so every virtiofs tag.
Result<std::string> cloud_init_user_data(std::span<const GuestMount> mounts);

} // namespace vfskit::domain

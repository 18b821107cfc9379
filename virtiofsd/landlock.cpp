// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace vfskit::virtiofsd {

namespace {

// The newest layout that we fill; kernels take a longer struct as long as what they do not know is
// zero, so the size is chosen by ABI. Debian 12's header ends at handled_access_fs.
struct RulesetAttr {
    std::uint64_t handled_access_fs;
    std::uint64_t handled_access_net; // ABI 4
    std::uint64_t scoped;             // ABI 6
};

// Debian 12's header has it, under this name, since Linux 5.19.
constexpr std::uint64_t fs_refer = 1U << 13;
constexpr std::uint64_t net_bind_tcp = 1U << 0;
constexpr std::uint64_t net_connect_tcp = 1U << 1;
constexpr std::uint64_t scope_abstract_unix_socket = 1U << 0;
constexpr std::uint64_t scope_signal = 1U << 1;

// A ruleset that does not mention REFER denies every rename and link between directories
// (landlock(7), ABI 2), so it is handled in order to be allowed everywhere.
Result<void> allow_renames(int ruleset) {
    const UniqueFd root{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    landlock_path_beneath_attr rule{};
    rule.allowed_access = fs_refer;
    rule.parent_fd = root.get();
    if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
        return Error::from_errno(errno, "Cannot add a Landlock rule");
    }
    return {};
}

} // namespace

Result<bool> apply_landlock() {
    const long abi =
        ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 2) {
        return false; // not built in, not enabled at boot, or so old that renames could not be
                      // allowed
    }
    RulesetAttr attr{LANDLOCK_ACCESS_FS_EXECUTE | fs_refer, 0, 0};
    std::size_t size = sizeof(attr.handled_access_fs);
    if (abi >= 4) {
        attr.handled_access_net = net_bind_tcp | net_connect_tcp;
        size = sizeof(attr.handled_access_fs) + sizeof(attr.handled_access_net);
    }
    if (abi >= 6) {
        attr.scoped = scope_abstract_unix_socket | scope_signal;
        size = sizeof(attr);
    }
    const UniqueFd ruleset{
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, size, 0))};
    if (!ruleset) {
        return Error::from_errno(errno, "Cannot create the Landlock ruleset");
    }
    VFSKIT_TRY(allow_renames(ruleset.get()));
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return Error::from_errno(errno, "Cannot set no_new_privs");
    }
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
        return Error::from_errno(errno, "Cannot apply the Landlock ruleset");
    }
    return true;
}

} // namespace vfskit::virtiofsd

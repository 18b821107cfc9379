// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

namespace vfskit::vfsctl {

/// How vfsctl ends. A contract with scripts: values are never reused. docs/exit-status.md and
/// vfsctl(1) hold the same table.
enum class ExitCode {
    ok = 0,        ///< done; of a check: nothing worse than notes
    failed = 1,    ///< could not be done: I/O, permission, no space, unreadable store
    usage = 2,     ///< the command line was not understood
    not_found = 3, ///< something that was named (a mapping, node, VM, file) does not exist
    refused = 4,   ///< what was asked breaks a rule or would do harm; nothing was changed
    conflict = 5,  ///< another writer was faster or holds the lock; nothing was changed, try again
    warning = 6,   ///< of a check: a warning is the worst that was found
    blocker = 7,   ///< of a check: something was found that must be mended first
};

/// The status for an Error by its errno.
ExitCode exit_code_for(const Error& error);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/exit_code.h"

#include <cerrno>

namespace vfskit::vfsctl {

ExitCode exit_code_for(const Error& error) {
    switch (error.code()) {
    case ENOENT:
        return ExitCode::not_found;
    case EINVAL:
    case ERANGE:
    case EEXIST:
    case EBUSY:
    case ENOTSUP:
        return ExitCode::refused;
    case ESTALE:
    case EAGAIN:
    case ETIMEDOUT:
        return ExitCode::conflict;
    default:
        return ExitCode::failed;
    }
}

} // namespace vfskit::vfsctl

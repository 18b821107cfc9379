// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <unistd.h>

#include <cerrno>

namespace vfskit::base {

void UniqueFd::reset(int fd) {
    if (fd_ >= 0) {
        // close() frees the descriptor even when it reports EINTR or EIO (Linux close(2), "Dealing
        // with error returns"), so it is never repeated. Where a lost write matters the caller
        // calls fsync().
        const int saved = errno;
        ::close(fd_);
        errno = saved;
    }
    fd_ = fd;
}

} // namespace vfskit::base

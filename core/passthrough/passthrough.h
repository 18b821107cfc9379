// SPDX-License-Identifier: Apache-2.0
// Room passthrough, floor 2.
// Is: a fuse::Filesystem over a host directory: inode store, handles, credentials, xattr map, id
//     map, locks.
// Knows: Linux system calls relative to descriptors, and what a guest's kernel expects of them.
// Does not know: how requests arrive, options on a command line, sandboxes. It is given the shared
//     directory and /proc/self/fd as open descriptors.
#pragma once

#include "core/passthrough/passthrough_fs.h"

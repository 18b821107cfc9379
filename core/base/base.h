// SPDX-License-Identifier: Apache-2.0
// Room base, floor 0.
// Is: what every room speaks: Result and Error, owned descriptors, bounds-checked bytes, whole-file
//     reads and atomic replacement, a log sink, a command as a value.
// Knows: POSIX and nothing else.
// Does not know: mappings, virtio, FUSE, or which program it is in.
#pragma once

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/result.h"
#include "core/base/sha1.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

// SPDX-License-Identifier: Apache-2.0
// Room fuse, floor 1.
// Is: one FUSE session between a guest and a Filesystem: decode, check, dispatch, encode, count.
// Knows: the FUSE protocol of Linux (7.27 to 7.45) and scattered buffers that the guest may change
//        at any moment.
// Does not know: virtio, where the buffers come from, or how a Filesystem does its work.
#pragma once

#include "core/fuse/filesystem.h"
#include "core/fuse/negotiation.h"
#include "core/fuse/options.h"
#include "core/fuse/outcome.h"
#include "core/fuse/session.h"
#include "core/fuse/statistics.h"
#include "core/fuse/wire.h"

// SPDX-License-Identifier: Apache-2.0
// Room virtio, floor 1.
// Is: guest memory, the split virtqueue, descriptor chains, the dirty log.
// Knows: the virtio 1.x ring layout and how a host maps a guest's memory.
// Does not know: vhost-user messages, threads, FUSE, or what a request means.
#pragma once

#include "core/virtio/address.h"
#include "core/virtio/descriptor_chain.h"
#include "core/virtio/dirty_log.h"
#include "core/virtio/fence.h"
#include "core/virtio/guest_memory.h"
#include "core/virtio/ring_layout.h"
#include "core/virtio/virtqueue.h"

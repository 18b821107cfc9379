// SPDX-License-Identifier: Apache-2.0
// Room vhost_user, floor 2.
// Is: a vhost-user back-end: messages, one front-end session, memory regions, vrings, the threads
// that
//     serve them.
// Knows: the vhost-user protocol and how requests get from a ring to a handler and back.
// Does not know: FUSE, files, or what a request means.
#pragma once

#include "core/vhost_user/device_state.h"
#include "core/vhost_user/message.h"
#include "core/vhost_user/request.h"
#include "core/vhost_user/ring_state.h"
#include "core/vhost_user/session.h"
#include "core/vhost_user/wire.h"

// SPDX-License-Identifier: Apache-2.0
// Room device_state, floor 3.
// Is: the state of a PassthroughFs as bytes for a live migration, and back. The bytes are upstream
//     virtiofsd's, with a trailer of ours that it ignores.
// Knows: the stream's format and its rules, how files are found again on another host, what proves
//     that two shared directories are one.
// Does not know: vhost-user, when a migration happens, options on a command line.
#pragma once

#include "core/device_state/load.h"
#include "core/device_state/place_check.h"
#include "core/device_state/preparation.h"
#include "core/device_state/save.h"
#include "core/device_state/stream.h"
#include "core/device_state/transfer.h"

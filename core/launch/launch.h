// SPDX-License-Identifier: Apache-2.0
// Room launch, floor 4.
// Is: the life of a share's daemon: started as a transient systemd unit or directly, recorded,
//     found again, stopped, and what it left behind mended.
// Knows: the state directory, systemd over D-Bus, processes.
// Does not know: where mappings are stored, libvirt, or who asks.
#pragma once

#include "core/launch/launcher.h"
#include "core/launch/layout.h"
#include "core/launch/limits.h"
#include "core/launch/record.h"
#include "core/launch/service_manager.h"

// SPDX-License-Identifier: Apache-2.0
// Room node, floor 3.
// Is: the facts of one node: what virtiofsd, QEMU and libvirt it has, what runs, and what each
//     mapped directory really is.
// Knows: how to find that out here, in bounded time, and its JSON form.
// Does not know: what the facts mean for a migration.
#pragma once

#include "core/node/facts.h"

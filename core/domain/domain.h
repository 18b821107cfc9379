// SPDX-License-Identifier: Apache-2.0
// Room domain, floor 3.
// Is: libvirt's domain XML: the <filesystem> and <memoryBacking> of a share, edits of a whole
// domain,
//     the rewrite for another node, and what the guest needs to mount the share.
// Knows: which libvirt knows which element, what it refuses at define and what only at start.
// Does not know: libvirt's API, where mappings are stored, how daemons are started.
#pragma once

#include "core/domain/domain_xml.h"
#include "core/domain/filesystem.h"
#include "core/domain/guest.h"
#include "core/domain/kubevirt.h"
#include "core/domain/libvirt_version.h"
#include "core/domain/memory_backing.h"
#include "core/domain/node_lookup.h"
#include "core/domain/notice.h"
#include "core/domain/patch.h"
#include "core/domain/rewrite.h"
#include "core/domain/rng.h"

// SPDX-License-Identifier: Apache-2.0
// Shared memory as elements to write.
#pragma once

#include "core/domain/memory_backing.h"
#include "core/domain/xml_edit.h"

namespace vfskit::domain {

xml::Node memory_backing_node(const MemoryRequest& request);
/// <numa> with one cell; memory_bytes and vcpus are set.
xml::Node numa_node(const MemoryRequest& request);

} // namespace vfskit::domain

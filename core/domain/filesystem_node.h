// SPDX-License-Identifier: Apache-2.0
// <filesystem> as an element to write.
#pragma once

#include "core/domain/filesystem.h"
#include "core/domain/xml_edit.h"

namespace vfskit::domain {

/// The element with its children in libvirt's order.
xml::Node filesystem_node(const Filesystem& filesystem);

/// What of an existing <filesystem> an update to `filesystem` decides. Address, alias, ACPI index
/// and, unless given, boot order and virtio options are the device's identity and stay.
xml::Owned filesystem_ownership(const Filesystem& filesystem);

} // namespace vfskit::domain

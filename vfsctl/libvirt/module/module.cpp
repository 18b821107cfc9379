// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/module/virt_connection.h"
#include "vfsctl/libvirt/module_entry.h"

extern "C" {
// Found by dlsym().
[[gnu::visibility("default")]] extern const vfskit::vfsctl::LibvirtModule vfskit_libvirt_module;
const vfskit::vfsctl::LibvirtModule vfskit_libvirt_module{VFSKIT_VERSION,
                                                          &vfskit::vfsctl::VirtConnection::open};
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/xml_options.h"

namespace vfskit::vfsctl {

struct XmlMemoryOptions {
    MemoryOptions memory;
    domain::LibvirtVersion libvirt = domain::default_libvirt_version;
    bool validate = false;
};

Verb xml_memory_verb();
Result<ExitCode> run_xml_memory(const XmlMemoryOptions& options, Services& services);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/load.h"

#include "vfsctl/libvirt/module_entry.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cerrno>
#include <string_view>

namespace vfskit::vfsctl {

namespace {

Result<const LibvirtModule*> load_module() {
    // Found by the program's run path. Never unloaded: libvirt keeps threads and thread-local
    // state.
    void* library = ::dlopen(VFSKIT_LIBVIRT_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == nullptr) {
        return Error{ENOENT, fmt::format("Cannot load libvirt's client: {}", ::dlerror())}
            .with_remedy("Install the package libvirt0");
    }
    const auto* module = static_cast<const LibvirtModule*>(::dlsym(library, libvirt_module_symbol));
    if (module == nullptr || std::string_view{module->version} != VFSKIT_VERSION) {
        return Error{EINVAL, "'" VFSKIT_LIBVIRT_MODULE "' is not of vfskit " VFSKIT_VERSION}
            .with_remedy("Install vfskit again");
    }
    return module;
}

} // namespace

Result<std::unique_ptr<LibvirtConnection>> connect_libvirt(const std::string& uri) {
    static const auto module = load_module();
    if (!module) {
        return Error{module.error()};
    }
    return (*module)->open(uri);
}

} // namespace vfskit::vfsctl

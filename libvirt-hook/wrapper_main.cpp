// SPDX-License-Identifier: Apache-2.0
// vfskit-virtiofsd: <binary path=> of libvirt-managed shares. Becomes the real virtiofsd.
#include "core/base/host.h"
#include "libvirt-hook/wrapper.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

namespace {

using namespace vfskit;
using namespace vfskit::libvirt_hook;

int run(const std::vector<std::string>& args) {
    auto config = read_config(std::string{config_path});
    if (!config) {
        std::fprintf(stderr, "vfskit-virtiofsd: %s\n", config.error().describe().c_str());
        config = Config{};
    }
    const WrapperWorld world{
        .config = *config,
        .node = config->node.empty() ? base::host_node_name() : config->node,
        .read_store = [&config]() -> Result<store::Snapshot> {
            VFSKIT_TRY_ASSIGN(const auto opened,
                              store::open_store(store::choose_store_url(
                                  config->store, "", store::is_pmxcfs("/etc/pve"))));
            return opened->snapshot();
        },
        .probe = [](const std::string& program) { return share::probe(program); }};
    auto daemon = wrap_daemon(args, world);
    if (!daemon.warning.empty()) {
        std::fprintf(stderr, "%s\n", daemon.warning.c_str());
    }
    std::vector<char*> argv{daemon.spec.program.data()};
    for (auto& word : daemon.spec.args) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    std::fprintf(stderr,
                 "vfskit-virtiofsd: Cannot execute '%s': %s. Install virtiofsd, or name it in "
                 "/etc/vfskit/libvirt.conf.\n",
                 argv[0],
                 std::strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "vfskit-virtiofsd: %s\n", failure.what());
        return 1;
    }
}

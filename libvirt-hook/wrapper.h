// SPDX-License-Identifier: Apache-2.0
// virtiofsd as libvirt starts it, with the migration options of the mapping that it serves: libvirt
// itself passes none.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/share/dialect.h"
#include "core/store/store.h"
#include "libvirt-hook/config.h"

#include <functional>
#include <string>
#include <vector>

namespace vfskit::libvirt_hook {

struct WrapperWorld {
    Config config;
    std::string node;
    std::function<Result<store::Snapshot>()> read_store;
    std::function<Result<share::DaemonInfo>(const std::string& program)> probe;
};

struct WrappedDaemon {
    ProcessSpec spec;
    std::string warning; ///< "", or one sentence for the daemon's log
};

/// The real daemon with `args` and, where exactly one live-migration method belongs to the
/// --shared-dir on this node, the options of that method. Questions (--print-capabilities,
/// --version, --help), and calls that say --migration-mode themselves, are passed on as they are. A
/// store that cannot be read, or two mappings of one directory with different methods, give a
/// warning and the daemon's own defaults: a VM must be able to start.
WrappedDaemon wrap_daemon(const std::vector<std::string>& args, const WrapperWorld& world);

} // namespace vfskit::libvirt_hook

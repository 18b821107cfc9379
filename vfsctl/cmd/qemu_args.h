// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/share/qemu_args.h"
#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/share_options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct QemuArgsOptions {
    std::vector<std::string> mappings;
    std::optional<std::string> vm;
    std::vector<std::string> sockets; ///< one per mapping, or none with --vm
    std::vector<share::PciAddress> pci;
    std::optional<std::uint64_t> memory;
    std::optional<std::string> memory_path;
    std::optional<std::uint64_t> hugepage;
    std::vector<share::NumaCell> cells;
    ShareOptions share;
};

Verb qemu_args_verb();
Result<ExitCode> run_qemu_args(const QemuArgsOptions& options, Services& services);

} // namespace vfskit::vfsctl

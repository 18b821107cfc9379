// SPDX-License-Identifier: Apache-2.0
// What the xml verbs share: the libvirt they write for, the details of a <filesystem>, the guest's
// memory, and how XML is handed over.
#pragma once

#include "core/base/result.h"
#include "core/domain/filesystem.h"
#include "core/domain/memory_backing.h"
#include "core/domain/notice.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/cmd/share_options.h"
#include "vfsctl/services.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// The libvirt that the XML is for.
struct TargetOptions {
    domain::LibvirtVersion libvirt = domain::default_libvirt_version;
    bool c_daemon = false;
    bool session = false;
    bool validate = false; ///< against libvirt's own grammar
};
void bind_target_options(TargetOptions& options, OptionSet& set);
/// Directories are looked at only where the XML is for this node.
domain::Target make_target(const TargetOptions& options, const Services& services);

/// A <filesystem> beyond what a share says.
struct FilesystemVerbOptions {
    bool external = false; ///< --vm names the socket
    std::optional<std::string> vm;
    domain::FilesystemOptions details;
};
void bind_filesystem_options(FilesystemVerbOptions& options, OptionSet& set);
Result<domain::FilesystemPlan> make_filesystem(const share::Share& share,
                                               const FilesystemVerbOptions& options,
                                               const domain::Target& target);

/// The memory of the domain; `kind` absent: nothing was asked for.
struct MemoryOptions {
    std::optional<domain::MemoryKind> kind;
    std::optional<std::uint64_t> page_bytes;
    bool numa = false;
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::uint32_t> vcpus;
};
void bind_memory_options(MemoryOptions& options, OptionSet& set, const std::string& kind_option);
domain::MemoryRequest to_request(const MemoryOptions& options);

/// What the administrator should know, on standard error.
void warn_about(const std::vector<domain::Notice>& notices, Output& output);
nlohmann::ordered_json to_json(const std::vector<domain::Notice>& notices);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// What 'vfsctl migrate', 'save' and 'restore' have in common: whether a running domain may leave
// its QEMU, and whether what arrived somewhere is right there.
#pragma once

#include "core/base/result.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/cmd/check_output.h"
#include "vfsctl/libvirt/connection.h"
#include "vfsctl/services.h"

#include <optional>
#include <string>
#include <string_view>

namespace vfskit::vfsctl {

/// "qemu+ssh://NODE/system"
std::string libvirt_of_node(std::string_view node);

/// --connect, and --from for the node that it leads to.
void bind_source_options(std::optional<std::string>& connect,
                         std::optional<std::string>& from,
                         OptionSet& set);

/// EINVAL where `libvirt` is another host's and nobody said which node that is: the paths of this
/// one would be wrong there. `option` says it.
Result<void> require_named_node(const LibvirtConnection& libvirt,
                                const std::optional<std::string>& named,
                                std::string_view option,
                                const Services& services);

/// A running domain; EINVAL with `remedy` for one that does not run.
Result<DomainState>
find_running(LibvirtConnection& libvirt, const std::string& domain, std::string remedy);

/// The worst that was found; of the first target, if there is one.
std::optional<check::Severity> worst_of(const CheckedVm& checked);
/// EBUSY when the findings do not let the guest go. Force passes over all of them but those that
/// would cost the guest or its files.
Result<void> judge(const CheckedVm& checked, bool is_forced);

/// What QEMU, asked in this very moment, would refuse or lose the guest over: EBUSY. No force
/// passes over it.
Result<void> check_hypervisor(LibvirtConnection& source, const DomainState& state);

/// What libvirt reported as done, looked at: QEMU runs, and the daemons of its shares live. EIO.
Result<DomainState> verify_running(LibvirtConnection& libvirt, const std::string& domain);
/// One of its definitions has the directories and sockets of `wanted`. EIO.
Result<void> verify_sources(LibvirtConnection& libvirt,
                            const std::string& domain,
                            DefinitionKind kind,
                            const std::string& wanted);

/// The directories and sockets of two definitions are the same, in this order.
Result<bool> have_same_sources(const std::string& one, const std::string& other);

} // namespace vfskit::vfsctl

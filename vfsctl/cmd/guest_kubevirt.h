// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/domain/kubevirt.h"
#include "vfsctl/cli/verb.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

struct GuestKubevirtOptions {
    std::string instance;
    std::vector<domain::KubevirtShare> shares;
};

/// "NAME", "NAME=OBJECT" or "NAME=SOURCE:OBJECT".
Result<domain::KubevirtShare> parse_kubevirt_share(std::string_view word);

Verb guest_kubevirt_verb();
Result<ExitCode> run_guest_kubevirt(const GuestKubevirtOptions& options, Services& services);

} // namespace vfskit::vfsctl

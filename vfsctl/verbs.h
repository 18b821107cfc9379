// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

namespace vfskit::vfsctl {

/// Every verb that there is, A to Z.
VerbTable all_verbs();

} // namespace vfskit::vfsctl

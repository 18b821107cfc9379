// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/share/dialect.h"

#include <string>

namespace vfskit::share {

/// Like probe(), with one question less for the bundled daemon, whose version is then what
/// parse_daemon("bundled") says: for who counts milliseconds. A question is a start of the daemon.
Result<DaemonInfo> probe_quickly(const std::string& program, const ProcessRunner& run);

} // namespace vfskit::share

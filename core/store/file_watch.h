// SPDX-License-Identifier: Apache-2.0
// Waits for files to change, also when they are replaced by rename. Internal to the room store.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace vfskit::store {

/// Asks `has_changed` at once, whenever something happens to one of `paths` in its directory
/// (inotify), and every `poll_interval` for what inotify does not report: other machines, a
/// directory that did not exist, no watches left. False after `timeout`.
Result<bool> wait_until_changed(const std::vector<std::string>& paths,
                                const std::function<Result<bool>()>& has_changed,
                                std::chrono::milliseconds timeout,
                                std::chrono::milliseconds poll_interval);

} // namespace vfskit::store

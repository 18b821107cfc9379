// SPDX-License-Identifier: Apache-2.0
// How this room says no to an attribute, an option or an annotation. Pure functions, for any
// thread.
#pragma once

#include "core/base/result.h"

#include <cerrno>
#include <string>
#include <utility>

namespace vfskit::domain {

/// The error `message` with the errno `code`, found at `key` (an attribute, an option).
inline base::Error refuse(int code, std::string key, std::string message) {
    return base::Error{code, std::move(message)}.at({.file = {}, .line = 0, .key = std::move(key)});
}

/// The same with EINVAL.
inline base::Error refuse(std::string key, std::string message) {
    return refuse(EINVAL, std::move(key), std::move(message));
}

} // namespace vfskit::domain

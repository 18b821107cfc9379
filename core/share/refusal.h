// SPDX-License-Identifier: Apache-2.0
// How the room refuses an option. Private to it.
#pragma once

#include "core/base/result.h"

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace vfskit::share {

/// `option` is its long name ("queue-size") and becomes the key of the error's place.
inline Error refuse(std::string_view option, std::string message, std::string remedy) {
    return Error{EINVAL, std::move(message)}
        .at({.file = {}, .line = 0, .key = std::string{option}})
        .with_remedy(std::move(remedy));
}

} // namespace vfskit::share

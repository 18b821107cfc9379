// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"

#include <fmt/format.h>

#include <system_error>

namespace vfskit::base {

Error Error::from_errno(int errno_code, std::string_view message) {
    // std::generic_category().message() is strerror() without its shared buffer.
    return {errno_code,
            fmt::format("{}: {}", message, std::generic_category().message(errno_code))};
}

Error Error::at(Place place) && {
    if (place_.file.empty()) {
        place_.file = std::move(place.file);
    }
    if (place_.line == 0) {
        place_.line = place.line;
    }
    if (place_.key.empty()) {
        place_.key = std::move(place.key);
    }
    return std::move(*this);
}

Error Error::with_remedy(std::string remedy) && {
    if (remedy_.empty()) {
        remedy_ = std::move(remedy);
    }
    return std::move(*this);
}

Error Error::under(std::string_view doing) && {
    message_ = fmt::format("{}: {}", doing, message_);
    return std::move(*this);
}

std::string Error::describe() const {
    std::string text;
    if (!place_.file.empty()) {
        text += place_.file;
        if (place_.line != 0) {
            text += fmt::format(":{}", place_.line);
        }
        text += ": ";
    }
    if (!place_.key.empty()) {
        text += fmt::format("key '{}': ", place_.key);
    }
    text += message_;
    if (!remedy_.empty()) {
        text += fmt::format(". {}", remedy_);
    }
    return text;
}

} // namespace vfskit::base

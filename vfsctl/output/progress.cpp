// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::vfsctl {

namespace {

constexpr std::size_t bar_width = 30;
constexpr std::string_view wipe = "\r\x1b[K";

} // namespace

ProgressBar::~ProgressBar() {
    if (is_shown_) {
        err_ << wipe << std::flush;
    }
}

void ProgressBar::show(double done, std::string_view text) {
    if (!is_terminal_) {
        return;
    }
    const double share = std::clamp(done, 0.0, 1.0);
    const auto filled = static_cast<std::size_t>(share * bar_width);
    auto line = fmt::format(
        "[{:#<{}}{:.<{}}] {:3.0f} %  {}", "", filled, "", bar_width - filled, share * 100, text);
    if (columns_ > 0 && line.size() >= columns_) {
        line.resize(columns_ - 1);
    }
    err_ << wipe << line << std::flush;
    is_shown_ = true;
}

} // namespace vfskit::vfsctl

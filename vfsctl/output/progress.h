// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace vfskit::vfsctl {

/// One line on a terminal that is written over: a bar and a text. Where the stream is no terminal
/// nothing is written at all. One thread at a time.
class ProgressBar {
public:
    ProgressBar(std::ostream& err, bool is_terminal, std::size_t columns)
        : err_{err}, is_terminal_{is_terminal}, columns_{columns} {}
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    /// Wipes the line.
    ~ProgressBar();

    /// `done` is from 0 to 1.
    void show(double done, std::string_view text);

private:
    std::ostream& err_;
    bool is_terminal_;
    std::size_t columns_;
    bool is_shown_ = false;
};

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// Where the daemons of one host have their control sockets: <run directory>/<vm>/<tag>.control.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::control {

/// The directory of what daemons need while they run: one directory per VM, in it the files of each
/// share, named for its tag.
inline constexpr std::string_view default_run_dir = "/run/vfskit";

/// A tag as the stem of a file name, without bytes that a path or a unit's name could trip over:
/// ASCII letters, digits, '-', '_' and '.' stay, every other byte is %XX.
[[nodiscard]] std::string tag_to_file_stem(std::string_view tag);
/// What tag_to_file_stem() was given; a '%' that no two hexadecimal digits follow stays as it is.
[[nodiscard]] std::string tag_from_file_stem(std::string_view stem);

/// A control socket and whose it is. That a socket is there does not say that somebody serves it.
struct DaemonSocket {
    std::string vm;  ///< empty: given by its path only
    std::string tag; ///< empty: given by its path only
    std::string path;
    bool operator==(const DaemonSocket&) const = default;
};

/// The control sockets below `run_dir`, by VM and tag; none when the directory is missing. EACCES
/// and other failures name the directory.
Result<std::vector<DaemonSocket>> find_daemon_sockets(const std::string& run_dir);

} // namespace vfskit::control

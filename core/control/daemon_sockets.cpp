// SPDX-License-Identifier: Apache-2.0
#include "core/control/daemon_sockets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <tuple>

namespace vfskit::control {

namespace {

namespace fs = std::filesystem;

bool stays_in_a_file_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

Error unreadable(const fs::path& directory, const std::error_code& cause) {
    return Error::from_errno(cause.value(),
                             fmt::format("Cannot look for daemons in '{}'", directory.string()))
        .with_remedy("Ask as root, or name the socket with --control-socket");
}

/// A directory that went away while we looked is one without entries.
bool is_gone(const std::error_code& failure) {
    return failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory;
}

Result<std::vector<fs::path>> entries_of(const fs::path& directory) {
    std::vector<fs::path> entries;
    std::error_code failure;
    for (fs::directory_iterator entry{directory, failure}, end; !failure && entry != end;
         entry.increment(failure)) {
        entries.push_back(entry->path());
    }
    if (failure && !is_gone(failure)) {
        return unreadable(directory, failure);
    }
    return entries;
}

} // namespace

std::string tag_to_file_stem(std::string_view tag) {
    std::string stem;
    for (const char c : tag) {
        stem += stays_in_a_file_name(c) ? std::string{c}
                                        : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return stem;
}

std::string tag_from_file_stem(std::string_view stem) {
    std::string tag;
    while (!stem.empty()) {
        std::uint8_t byte = 0;
        if (stem.front() == '%' && stem.size() >= 3 &&
            std::from_chars(stem.data() + 1, stem.data() + 3, byte, 16).ptr == stem.data() + 3) {
            tag += static_cast<char>(byte);
            stem.remove_prefix(3);
        } else {
            tag += stem.front();
            stem.remove_prefix(1);
        }
    }
    return tag;
}

Result<std::vector<DaemonSocket>> find_daemon_sockets(const std::string& run_dir) {
    std::vector<DaemonSocket> sockets;
    VFSKIT_TRY_ASSIGN(const auto vms, entries_of(run_dir));
    for (const auto& vm : vms) {
        std::error_code failure;
        if (!fs::is_directory(vm, failure)) {
            continue;
        }
        VFSKIT_TRY_ASSIGN(const auto files, entries_of(vm));
        for (const auto& file : files) {
            if (file.extension() == ".control" && fs::is_socket(file, failure)) {
                sockets.push_back({vm.filename().string(),
                                   tag_from_file_stem(file.stem().string()),
                                   file.string()});
            }
        }
    }
    std::ranges::sort(sockets, [](const DaemonSocket& a, const DaemonSocket& b) {
        return std::tie(a.vm, a.tag) < std::tie(b.vm, b.tag);
    });
    return sockets;
}

} // namespace vfskit::control

// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/share_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::libvirt_hook {

namespace {

constexpr std::array<std::string_view, 5> flags{
    "readonly", "writeback", "allow-direct-io", "allow-mmap", "xattr"};
constexpr std::array<std::string_view, 21> valued{"on-error",
                                                  "cache",
                                                  "xattrmap",
                                                  "posix-acl",
                                                  "security-label",
                                                  "announce-submounts",
                                                  "inode-file-handles",
                                                  "thread-pool-size",
                                                  "queues",
                                                  "rlimit-nofile",
                                                  "sandbox",
                                                  "modcaps",
                                                  "log-level",
                                                  "read-limit",
                                                  "write-limit",
                                                  "read-iops",
                                                  "write-iops",
                                                  "io-device",
                                                  "cpu-limit",
                                                  "memory-limit",
                                                  "queue-size"};

template <std::size_t N>
bool has(const std::array<std::string_view, N>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

} // namespace

Result<std::vector<std::string>> words_of(const domain::DomainFilesystem& filesystem) {
    std::vector<std::string> words;
    for (const auto& [name, value] : filesystem.recorded_options) {
        if (has(flags, name) && (value == "on" || value == "off")) {
            if (value == "on") {
                words.push_back("--" + name);
            }
        } else if (has(valued, name)) {
            words.insert(words.end(), {"--" + name, value});
        } else {
            return Error{EINVAL,
                         fmt::format("The metadata of share '{}' says {}='{}', which this version "
                                     "does not know",
                                     filesystem.tag,
                                     name,
                                     value)}
                .with_remedy("Update vfskit on this node, or attach the share again");
        }
    }
    return words;
}

} // namespace vfskit::libvirt_hook

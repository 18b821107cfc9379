// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/file.h"
#include "core/domain/filesystem.h"
#include "tests/support/source_tree.h"

#include <string>
#include <utility>

namespace vfskit::domain {

inline share::Share sample_share() {
    share::Share share;
    share.dirid = "media";
    share.tag = "media";
    share.path = "/srv/media";
    return share;
}

inline VirtiofsFilesystem managed_sample() {
    VirtiofsFilesystem filesystem;
    filesystem.tag = "media";
    filesystem.queue_size = 1024;
    ManagedDaemon daemon;
    daemon.source_dir = "/srv/media";
    filesystem.daemon = std::move(daemon);
    return filesystem;
}

inline ManagedDaemon& daemon_of(VirtiofsFilesystem& filesystem) {
    return std::get<ManagedDaemon>(filesystem.daemon);
}

inline VirtiofsFilesystem external_sample() {
    VirtiofsFilesystem filesystem;
    filesystem.tag = "media";
    filesystem.queue_size = 1024;
    filesystem.daemon = ExternalDaemon{"/run/vfskit/media.sock"};
    return filesystem;
}

inline NinepFilesystem ninep_sample() {
    NinepFilesystem filesystem;
    filesystem.tag = "media";
    filesystem.source_dir = "/srv/media";
    return filesystem;
}

inline std::string input_domain(const std::string& name) {
    constexpr std::size_t largest = 65536;
    const auto text =
        base::read_file(test::source_path("tests/golden/domain/input/" + name + ".xml"), largest);
    return text ? *text : "missing: " + text.error().describe();
}

} // namespace vfskit::domain

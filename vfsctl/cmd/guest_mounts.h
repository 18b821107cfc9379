// SPDX-License-Identifier: Apache-2.0
// What the guest verbs share: TAG:/MOUNT/POINT and the mount options.
#pragma once

#include "core/base/result.h"
#include "core/domain/guest.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/output/output.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

struct GuestMountOptions {
    std::vector<domain::GuestMount> mounts;
    bool readonly = false;
    bool required = false;
    std::vector<std::string> options;
};

/// "TAG:/MOUNT/POINT".
Result<domain::GuestMount> parse_guest_mount(std::string_view word);
void bind_guest_mounts(GuestMountOptions& options, OptionSet& set);
/// The mounts with the common options applied.
std::vector<domain::GuestMount> make_mounts(const GuestMountOptions& options);

/// One text for a guest: where it belongs, and its content.
struct Snippet {
    std::string file; ///< "/etc/fstab"; of a kernel command line ""
    std::string content;
};
/// The contents, or with --json a document of kind "guest-snippet".
void print_snippets(std::string_view format, const std::vector<Snippet>& snippets, Output& output);

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/guest_mounts.h"

#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

Result<domain::GuestMount> parse_guest_mount(std::string_view word) {
    const auto split = word.find(":/");
    if (split == std::string_view::npos || split == 0) {
        return Error{EINVAL, fmt::format("'{}' is not TAG:/MOUNT/POINT", word)}.with_remedy(
            "Write for example media:/srv/media");
    }
    domain::GuestMount mount;
    mount.tag = word.substr(0, split);
    mount.mount_point = word.substr(split + 1);
    return mount;
}

void bind_guest_mounts(GuestMountOptions& options, OptionSet& set) {
    set.values({.name = "TAG:/MOUNT/POINT",
                .help =
                    "A share by its tag (the mapping's id unless it was given another) and where "
                    "the guest mounts it",
                .is_required = true},
               options.mounts,
               parse_guest_mount)
        .flag({.name = "--readonly", .help = "Mount read-only"}, options.readonly)
        .flag({.name = "--required", .help = "The guest does not boot without the share"},
              options.required)
        .list({.name = "--option",
               .value = "OPTION",
               .help = "One more mount option, 'noatime'. May be repeated"},
              options.options);
}

std::vector<domain::GuestMount> make_mounts(const GuestMountOptions& options) {
    auto mounts = options.mounts;
    for (auto& mount : mounts) {
        mount.readonly = options.readonly;
        mount.nofail = !options.required;
        mount.options = options.options;
    }
    return mounts;
}

void print_snippets(std::string_view format, const std::vector<Snippet>& snippets, Output& output) {
    if (output.is_json()) {
        auto document = make_document("guest-snippet");
        document["format"] = format;
        document["snippets"] = nlohmann::ordered_json::array();
        for (const auto& [file, content] : snippets) {
            nlohmann::ordered_json json{{"content", to_utf8(content)}};
            if (!file.empty()) {
                json["file"] = to_utf8(file);
            }
            document["snippets"].push_back(std::move(json));
        }
        output.print_json(document);
        return;
    }
    for (const auto& snippet : snippets) {
        output.print(snippet.content);
    }
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// A domain from anybody, e.g. a migrating host: reading it never fails badly, a patch of it is read
// again by the same rules, and the second patch finds nothing left to do.
#include "core/domain/patch.h"
#include "core/domain/rewrite.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

using vfskit::Result;
namespace domain = vfskit::domain;

namespace {

domain::PatchRequest add_a_share() {
    domain::VirtiofsFilesystem filesystem;
    filesystem.tag = "media";
    domain::ManagedDaemon daemon;
    daemon.source_dir = "/srv/media";
    filesystem.daemon = daemon;
    domain::PatchRequest request;
    request.put.push_back({"media", filesystem});
    return request;
}

Result<std::optional<domain::NodeShare>> elsewhere(const domain::DomainFilesystem&) {
    domain::NodeShare share;
    share.source_dir = "/mnt/elsewhere";
    share.binary = domain::DropBinary{};
    return std::optional{share};
}

void demand(bool claim) {
    if (!claim) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto once = domain::patch_domain(text, add_a_share(), {});
    if (once) {
        const auto twice = domain::patch_domain(once->xml, add_a_share(), {});
        demand(twice && !twice->changed);
    }
    const auto moved = domain::rewrite_for_node(text, elsewhere);
    if (moved) {
        const auto again = domain::rewrite_for_node(moved->xml, elsewhere);
        demand(again && !again->changed());
    }
    return 0;
}

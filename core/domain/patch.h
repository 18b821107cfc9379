// SPDX-License-Identifier: Apache-2.0
// Adds, updates and removes shares in a whole domain. Everything else stays byte for byte: the text
// is spliced, never re-serialised. Doing it twice changes nothing the second time.
#pragma once

#include "core/base/result.h"
#include "core/domain/filesystem.h"
#include "core/domain/memory_backing.h"
#include "core/domain/notice.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::domain {

/// A share that the domain is to have. It is found again by its tag.
struct ShareEdit {
    std::string dirid; ///< recorded in <metadata>; empty: the tag
    Filesystem filesystem;
    /// Recorded beside the dirid: the options of a daemon that vfskit starts, which <filesystem>
    /// cannot hold, by their long names ("cache", "always"). What was recorded before goes.
    std::vector<std::pair<std::string, std::string>> options = {};
};

struct PatchRequest {
    std::vector<ShareEdit> put; ///< added, or updated in place (address, alias, boot order stay)
    std::vector<std::string> remove; ///< tags; ENOENT with "did you mean" for one the domain lacks
    /// The memory that the domain shall have. Absent: with a virtiofs share, whatever it has if
    /// that is shared, else memfd.
    std::optional<MemoryRequest> memory;
};

struct PatchResult {
    std::string xml;
    bool changed = false;
    std::vector<Notice>
        notices; ///< what the patch had to change besides the shares, and what it implies
};

/// The filesystems are validated against `target` first. EINVAL as parse_domain(), for two edits of
/// one tag, for a tag that the domain has twice, and for a domain that would get a tag twice.
Result<PatchResult>
patch_domain(std::string_view xml, const PatchRequest& request, const Target& target);

/// Our record in <metadata> without its namespace, "<shares><share tag= dirid=/></shares>", as
/// virDomainSetMetadata() takes it; empty when the domain has none. EINVAL as parse_domain().
Result<std::string> shares_record(std::string_view xml);

} // namespace vfskit::domain

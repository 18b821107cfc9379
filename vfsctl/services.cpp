// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/services.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace vfskit::vfsctl {

namespace {

// A domain XML or an import file above this is a mistake, not a file.
constexpr std::size_t max_input_bytes = 64 << 20;

std::string did_you_mean(std::string_view word,
                         const std::vector<std::string_view>& candidates,
                         std::string otherwise) {
    const auto near = base::nearest(word, candidates);
    return near ? fmt::format("Did you mean '{}'?", *near) : std::move(otherwise);
}

} // namespace

Result<std::unique_ptr<store::MappingStore>> Services::open_store() const {
    return environment.open_store(store_url);
}

Result<std::string> read_input(Services& services, const std::string& path) {
    if (path != "-") {
        return base::read_file(path, max_input_bytes);
    }
    auto& in = services.environment.in;
    std::string content{std::istreambuf_iterator<char>{in}, {}};
    if (in.bad()) {
        return Error{EIO, "Cannot read standard input"};
    }
    return content;
}

Result<const mapping::DirectoryMapping*>
require_mapping(const store::Snapshot& snapshot, std::string_view id, std::string_view store_url) {
    if (const auto* found = snapshot.find(id); found != nullptr) {
        return found;
    }
    std::vector<std::string_view> ids;
    ids.reserve(snapshot.mappings.size());
    std::ranges::transform(
        snapshot.mappings, std::back_inserter(ids), &mapping::DirectoryMapping::id);
    return Error{ENOENT, fmt::format("There is no mapping '{}' in {}", id, store_url)}.with_remedy(
        did_you_mean(id, ids, "See 'vfsctl mapping list' for those there are"));
}

void warn_about(const std::vector<store::Notice>& notices, Output& output) {
    for (const auto& notice : notices) {
        output.warn(Error{EBADMSG, notice.message}.at(notice.place).describe());
    }
}

Result<void> require_node(const mapping::DirectoryMapping& mapping, std::string_view node) {
    if (mapping::find_path(mapping, node)) {
        return {};
    }
    std::vector<std::string_view> nodes;
    std::ranges::transform(mapping.paths, std::back_inserter(nodes), &mapping::NodePath::node);
    auto known = fmt::format("It has paths on: {}", fmt::join(nodes, ", "));
    return Error{ENOENT, fmt::format("Mapping '{}' has no path on node '{}'", mapping.id, node)}
        .with_remedy(did_you_mean(node, nodes, std::move(known)));
}

} // namespace vfskit::vfsctl

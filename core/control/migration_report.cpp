// SPDX-License-Identifier: Apache-2.0
#include "core/control/migration_report.h"

#include "core/control/object_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::control {

namespace {

constexpr std::array<std::pair<Passage, std::string_view>, 3> passage_words{
    {{Passage::none, "none"},
     {Passage::same_directory, "same-directory"},
     {Passage::same_host, "same-host"}}};

std::string_view word_of(Passage passage) {
    const auto* found =
        std::find_if(passage_words.begin(), passage_words.end(), [passage](const auto& known) {
            return known.first == passage;
        });
    return found == passage_words.end() ? passage_words.front().second : found->second;
}

UnreachableFile read_file(const Json& json, ObjectReader& parent) {
    UnreachableFile file;
    ObjectReader reader{json, "A file"};
    reader.read("node", file.node);
    reader.read("inode", file.ino);
    reader.read("path", file.path);
    reader.read("deleted", file.is_deleted);
    reader.read("open_handles", file.open_handles);
    reader.read("reason", file.reason);
    std::string word;
    reader.read("passage", word);
    const auto* found = std::find_if(passage_words.begin(),
                                     passage_words.end(),
                                     [&word](const auto& known) { return known.second == word; });
    if (found == passage_words.end()) {
        reader.fail(fmt::format("'passage' of a file is '{}'", word));
    } else {
        file.passage = found->first;
    }
    if (!reader.fault().empty()) {
        parent.fail(reader.fault());
    }
    return file;
}

} // namespace

std::string to_json(const MigrationReport& report) {
    Json json{{"mode", report.mode},
              {"inodes", report.inodes},
              {"handles", report.handles},
              {"posix_locks", report.posix_locks},
              {"flocks", report.flocks},
              {"locks_move", report.locks_move},
              {"unreachable", report.unreachable},
              {"deleted", report.deleted},
              {"truncated", report.is_truncated}};
    auto& files = json["files"] = Json::array();
    for (const auto& file : report.files) {
        files.push_back({{"node", file.node},
                         {"inode", file.ino},
                         {"path", file.path},
                         {"deleted", file.is_deleted},
                         {"open_handles", file.open_handles},
                         {"passage", word_of(file.passage)},
                         {"reason", file.reason}});
    }
    return dump(json);
}

Result<MigrationReport> parse_migration_report(std::string_view text) {
    const auto json = Json::parse(text, nullptr, false);
    MigrationReport report;
    ObjectReader reader{json, "The daemon's migration report"};
    reader.read("mode", report.mode);
    reader.read("inodes", report.inodes);
    reader.read("handles", report.handles);
    reader.read("posix_locks", report.posix_locks);
    reader.read("flocks", report.flocks);
    reader.read("locks_move", report.locks_move);
    reader.read("unreachable", report.unreachable);
    reader.read("deleted", report.deleted);
    reader.read("truncated", report.is_truncated);
    reader.read_array(
        "files", [&](const Json& element) { report.files.push_back(read_file(element, reader)); });
    if (!reader.fault().empty()) {
        return Error{EBADMSG, reader.fault()}.with_remedy(
            "Use a vfsctl of the same version as the daemon");
    }
    return report;
}

} // namespace vfskit::control

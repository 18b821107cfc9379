// SPDX-License-Identifier: Apache-2.0
// mapping/vfskit.cfg: what a mapping says about live migration. Stock Proxmox VE deletes keys that
// it does not know from directory.cfg whenever any node writes it, so the truth stands here.
//
//   media
//           live-migration-method find-paths
//           path-relation same-directory
//           paths 1a2b3c4d 99887766
//           mirrored yes
//
// `paths` has eight hex digits of the SHA-1 of each "NODE NUL PATH" that the mapping had: a mapping
// that shares none of them with its section was defined anew by somebody else under the old id, and
// gets nothing from it. `mirrored` says that directory.cfg was given the same keys, so that their
// absence there is a loss. "@options" with "mirror yes" does that for every new mapping: for
// clusters whose nodes all know the keys.
//
// A change of both files writes this one first, with the new records as sections "next:ID" and a
// section "@commit" that has the SHA-1 of directory.cfg before and after; then directory.cfg; then
// this one without them. Which records count is seen from directory.cfg, so a writer that dies in
// between has changed everything or nothing.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"
#include "core/store/directory_config.h"
#include "core/store/store.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// What the file says about one mapping.
struct TruthRecord {
    std::optional<mapping::MigrationMethod> method;
    std::optional<mapping::PathRelation> relation;
    std::vector<std::string> paths; ///< eight hex digits each
    bool is_mirrored = false;
    std::size_t line = 0; ///< 1-based line of its header

    /// Compares what is said, not where.
    bool says_the_same(const TruthRecord& other) const;
};

/// Record for a mapping; nothing if there is nothing to say about it.
std::optional<TruthRecord> make_truth_record(const mapping::DirectoryMapping& mapping,
                                             bool is_mirrored);

/// How much of `mapping` the record knows.
enum class Kinship { same_paths, some_paths, no_path };
Kinship kinship(const TruthRecord& record, const mapping::DirectoryMapping& mapping);

using TruthRecords = std::map<std::string, TruthRecord, std::less<>>;

/// The content with its meaning. An unfinished change is settled by the state of directory.cfg.
struct Truth {
    TruthRecords records;
    bool mirrors_everything = false;
    bool has_unfinished_change = false;
    std::vector<Notice> notices;
};
Truth parse_truth(std::string_view content,
                  const std::string& file_name,
                  const DirectoryConfig& directory);

/// New records by id; absent: removed.
using TruthChanges = std::map<std::string, std::optional<TruthRecord>, std::less<>>;

/// The content with the changes made and no unfinished change left in it. `truth` is what
/// parse_truth gave for it. Comments, order and unknown keys stay.
std::string edit_truth(std::string_view content, const Truth& truth, const TruthChanges& changes);

/// The settled content with `changes` pending until directory.cfg turns from `before` to `after`.
std::string announce_truth(std::string_view settled,
                           const TruthChanges& changes,
                           const std::string& before,
                           const std::string& after);

/// Where the two files disagree about one mapping.
struct TruthIssue {
    enum class Kind {
        lost,         ///< mirrored keys are gone from directory.cfg: restored from here
        unrecorded,   ///< keys stand only in directory.cfg
        overridden,   ///< directory.cfg has another value: it is newer and counts
        defined_anew, ///< no path in common: the record does not count
        orphan,       ///< no such mapping
    };
    Kind kind;
    std::string id;
    Place place;
    std::string message;
};

/// The mappings of directory.cfg, in its order, completed from the records; without poison ones.
std::vector<mapping::DirectoryMapping> complete_mappings(const DirectoryConfig& directory,
                                                         const Truth& truth,
                                                         const std::string& directory_name,
                                                         const std::string& truth_name,
                                                         std::vector<TruthIssue>& issues);

} // namespace vfskit::store

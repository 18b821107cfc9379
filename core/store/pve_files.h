// SPDX-License-Identifier: Apache-2.0
// The two files of the Proxmox engine as one unit: read together, planned together, written in the
// order that survives a crash. For the engine and its doctor.
#pragma once

#include "core/base/result.h"
#include "core/store/directory_config.h"
#include "core/store/pve_lock.h"
#include "core/store/pve_truth.h"
#include "core/store/store.h"

#include <memory>
#include <string>
#include <vector>

namespace vfskit::store {

/// Where they are. `root` has no slash at its end.
struct PvePaths {
    explicit PvePaths(const std::string& root);

    std::string root;
    std::string directory; ///< <root>/mapping/directory.cfg
    std::string truth;     ///< <root>/mapping/vfskit.cfg
};

/// Both at one moment, parsed.
struct PveState {
    std::string directory_content;
    std::string truth_content;
    std::unique_ptr<DirectoryConfig> directory;
    Truth truth;
    std::vector<mapping::DirectoryMapping> mappings;
    std::vector<TruthIssue> issues;

    /// SHA-1 of directory.cfg (Proxmox VE's digest of it), a hyphen, SHA-1 of vfskit.cfg.
    [[nodiscard]] Revision revision() const;
};

/// ENOTCONN when pmxcfs belongs at `root` but is not mounted; ENOENT when the root is no directory.
Result<void> check_pve_root(const std::string& root);

/// Parses given contents.
PveState
make_pve_state(const PvePaths& paths, std::string directory_content, std::string truth_content);

/// Reads both so that they belong together even while another writer is at work; missing files are
/// empty.
Result<PveState> read_pve_state(const PvePaths& paths);

/// What becomes of the two files.
struct PveChange {
    std::string directory; ///< the new content of directory.cfg
    TruthChanges records;
};

/// Fulfils the wishes (at most one per id) in both files and verifies that the result reads back as
/// wished; EINVAL otherwise.
Result<PveChange>
plan_wishes(const PvePaths& paths, const PveState& state, std::vector<SectionWish> wishes);

/// What a commit writes. Equal contents are not written.
struct PvePlan {
    std::string settled_truth; ///< as now, without an unfinished change
    std::string announcement;  ///< settled_truth with the change pending
    std::string directory;
    std::string truth;
};

/// The plan that turns directory.cfg into `directory` and makes `changes` in the records. EFBIG
/// when one of the contents is larger than pmxcfs takes.
Result<PvePlan> make_pve_plan(const PvePaths& paths,
                              const PveState& state,
                              std::string directory,
                              const TruthChanges& changes);

/// Carries it out under `lock`. A process that dies at any instruction leaves the old or the new
/// mappings. Gives what the files then are.
Result<Revision> write_pve_plan(const PvePaths& paths,
                                const PveState& state,
                                const PvePlan& plan,
                                const PveLock& lock);

/// Replaces one of the files, or writes one beside them, as pmxcfs wants it: through
/// "<file>.tmp.<pid>".
Result<void>
write_pve_file(const PvePaths& paths, const std::string& path, const std::string& content);

} // namespace vfskit::store

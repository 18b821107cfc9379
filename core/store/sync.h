// SPDX-License-Identifier: Apache-2.0
// Carries mappings from one store to another, whatever their engines, without undoing what was
// changed at the far end meanwhile: a three-way comparison with what both last had in common.
#pragma once

#include "core/base/result.h"
#include "core/store/store.h"
#include "core/store/transfer.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// A mapping that was changed differently at both ends since they last agreed (or that both have,
/// differently, although they never did).
struct SyncConflict {
    std::string id;
    std::optional<mapping::DirectoryMapping> base; ///< what both had
    std::optional<mapping::DirectoryMapping> from;
    std::optional<mapping::DirectoryMapping> to;
};

/// Who wins a conflict. nobody: then nothing at all is changed.
enum class Prefer { nobody, from, to };
Result<Prefer> parse_prefer(std::string_view word);

struct SyncPlan {
    std::vector<Change> changes; ///< of `to`; none of kind unchanged
    std::vector<SyncConflict> conflicts;
    std::vector<std::string> kept; ///< ids that only `to` changed: they stay as they are there
    /// What both have in common once the changes are made.
    std::vector<mapping::DirectoryMapping> base;
};

/// Compares. `base`: what both had in common when they were last synchronised; empty at first. An
/// id that changed at `from` only is changed at `to`; one that changed at `to` only is kept.
SyncPlan plan_sync(const std::vector<mapping::DirectoryMapping>& base,
                   const std::vector<mapping::DirectoryMapping>& from,
                   const std::vector<mapping::DirectoryMapping>& to,
                   Prefer prefer);

struct SyncOptions {
    Prefer prefer = Prefer::nobody;
    bool dry_run = false;
    /// Where the common state of each pair of stores is kept; a file with the shape of the YAML
    /// store's, in JSON.
    std::string state_directory = "/var/lib/vfskit/sync";
};

struct SyncResult {
    SyncPlan plan;
    Snapshot from; ///< as it was read
    Snapshot to;
    bool was_written = false;
};

/// Reads both, plans, writes `to`, and remembers what is common. With conflicts and nobody
/// preferred nothing is changed; the result holds them. Whoever is killed between two steps has
/// lost nothing: the next run finds the stores alike. EHOSTUNREACH when one of them could only give
/// an old state; ETIMEDOUT while another process synchronises this pair; ESTALE when `to` was
/// changed meanwhile again and again.
Result<SyncResult> sync_stores(MappingStore& from, MappingStore& to, const SyncOptions& options);

} // namespace vfskit::store

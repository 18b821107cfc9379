// SPDX-License-Identifier: Apache-2.0
// What is wrong with a store and how to mend it.
//
// Codes never change their meaning; new ones are added at the end.
//   VFS-M001 poison section: no valid map line, so Proxmox VE cannot write the file any more
//   VFS-M002 merged sections: a header without an empty line before it lost its own mapping
//   VFS-M003 a node has two paths in one mapping
//   VFS-M004 an id is longer than a virtiofs tag
//   VFS-M005 a VM (or one of its snapshots) uses an id that is not defined
//   VFS-M006 live-migration-method or path-relation was lost from directory.cfg or differs there
//   VFS-M007 vfskit.cfg holds properties of an id that is not defined
//   VFS-M008 a description is doubly encoded
//   VFS-M009 a description is not UTF-8
//   VFS-M010 an id is defined twice
//   VFS-M011 a VM uses one id, and so one tag, twice
//   VFS-M012 a lock is stale
//   VFS-M013 a line is ignored by Proxmox VE and lost at its next write
//   VFS-M014 a mapping breaks a strict rule
//   VFS-M015 a mapping was defined anew elsewhere, its properties here belong to the old one
//   VFS-M016 the file is near the size that the cluster filesystem takes
//   VFS-M017 the store cannot be read at all
//   VFS-M018 a line "0" ends a section for Proxmox VE
#pragma once

#include "core/base/result.h"
#include "core/store/pve_lock.h"
#include "core/store/store.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Of the codes above; they begin with 1 and have no gaps.
inline constexpr unsigned last_finding_number = 18;

enum class Severity { note, warning, error };
std::string_view to_string(Severity severity);

struct Finding {
    std::string code; ///< "VFS-M001" …
    Severity severity = Severity::note;
    std::string subject; ///< the dirid, "VM 100" or the file
    Place place;
    std::string message;  ///< one sentence without a full stop
    std::string remedy;   ///< one imperative sentence without a full stop
    bool fixable = false; ///< repair() mends it without losing data
};

struct Diagnosis {
    std::string url;
    Revision revision;
    std::vector<Finding> findings; ///< errors first, then by code and subject
};

/// Examines the store that `url` names (see open_store); for "pve:" also the VM configurations and
/// the lock. Changes nothing.
Result<Diagnosis> diagnose(std::string_view url);

struct Repair {
    std::vector<Finding> fixed;
    std::vector<Finding> left; ///< what a person must decide
    std::vector<std::string>
        backups; ///< copies of the files as they were, made before the first write
    Revision revision;
};

/// Mends every fixable finding of `diagnosis` that `wanted` accepts (all when empty), under the
/// store's lock, if the store is still at diagnosis.revision (ESTALE otherwise). Each file that
/// changes is first copied beside itself as "<file>.<UTC time>.bak".
Result<Repair> repair(const Diagnosis& diagnosis,
                      const std::function<bool(const Finding&)>& wanted = {});

} // namespace vfskit::store

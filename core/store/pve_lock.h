// SPDX-License-Identifier: Apache-2.0
// The cluster-wide lock of Proxmox VE's own writers: a directory below <root>/priv/lock.
//
// pmxcfs keeps the time of a lock directory: while it is fresh nobody else can take it; an unlock
// request (times set to zero) deletes it once nobody has refreshed it for 120 s. rmdir(2) has no
// owner check, so a holder that overslept would take away its successor's lock: the release here
// looks at the clock first.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <string>

namespace vfskit::store {

/// Time as the lock needs it. Tests inject a fake.
class PveClock {
public:
    virtual ~PveClock() = default;
    /// Monotonic; never jumps.
    virtual std::chrono::milliseconds now() = 0;
    virtual void sleep(std::chrono::milliseconds duration) = 0;
};
/// The system's steady clock.
PveClock& steady_pve_clock();

/// The limits of PVE::Cluster's cfs_lock and of pmxcfs.
struct PveLockOptions {
    std::chrono::milliseconds wait{10'000};           ///< for somebody else's lock
    std::chrono::milliseconds work_limit{60'000};     ///< nothing is written later than this
    std::chrono::milliseconds expires_after{120'000}; ///< from then on it may be another's lock
};

/// True if the cluster filesystem at `root` is writable: as Proxmox VE does, by the owner's write
/// bit of lstat(<root>/local), because access(2) lies for root. A plain directory without "local"
/// counts as quorate.
bool has_quorum(const std::string& root);

/// One held lock. Not thread-safe; released at destruction unless it may no longer be ours.
class PveLock {
public:
    /// Takes `<root>/priv/lock/<name>`, creating priv/lock where it is missing (plain directories
    /// only). EACCES: no quorum. ETIMEDOUT: somebody holds it longer than options.wait. `clock`
    /// must outlive the lock.
    static Result<PveLock> acquire(const std::string& root,
                                   const std::string& name,
                                   const PveLockOptions& options,
                                   PveClock& clock);
    PveLock(PveLock&& other) noexcept;
    PveLock& operator=(PveLock&&) = delete;
    PveLock(const PveLock&) = delete;
    PveLock& operator=(const PveLock&) = delete;
    ~PveLock();

    /// ETIMEDOUT once the work limit is over: call before each step that changes something.
    [[nodiscard]] Result<void> check_time() const;

private:
    PveLock(std::string path, const PveLockOptions& options, PveClock& clock);

    std::string path_; ///< empty once moved from
    PveLockOptions options_;
    PveClock* clock_;
    std::chrono::milliseconds taken_at_;
};

/// The lock that every Proxmox VE writer of mapping/directory.cfg takes.
inline constexpr const char* pve_mapping_lock = "file-mapping_directory_cfg";

} // namespace vfskit::store

// SPDX-License-Identifier: Apache-2.0
// One connection to a libvirt daemon, as the verbs need it. The real one lives in a module that is
// loaded at its first use (load.h): a node without libvirt, a Proxmox VE node for one, runs every
// other verb, and none of them pays for loading it (measured: 8 of 11 ms of a short command).
#pragma once

#include "core/base/result.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// Which of a domain's definitions.
enum class DefinitionKind {
    live,       ///< what runs now; of a domain that does not run, what is stored
    inactive,   ///< what the next start uses
    migratable, ///< live, without what is the host's own: the base for another host's XML
};

struct DomainState {
    std::string name;
    std::string uuid;
    bool is_running = false; ///< has a QEMU, paused included
    bool is_paused = false;
    bool is_persistent = false;
    bool has_snapshots = false;

    bool operator==(const DomainState&) const = default;
};

/// Versions as libvirt counts: major * 1000000 + minor * 1000 + release.
struct HypervisorVersions {
    std::string hostname;
    std::uint64_t libvirt = 0;
    std::uint64_t qemu = 0;
};

/// Which definitions a change of devices is for; at least one.
struct ChangeScope {
    bool live = false;
    bool config = false;
};

/// A live migration, client-driven: this process talks to both libvirts.
struct MigrationRequest {
    std::string destination_xml;                ///< the running guest's definition there
    std::optional<std::string> persistent_xml;  ///< stored there; absent: the guest is transient
    std::optional<std::string> migrate_uri;     ///< "tcp://10.0.0.2"; absent: libvirt chooses
    std::optional<std::uint64_t> bandwidth_mib; ///< MiB/s at most
    bool undefine_source = false;
    bool auto_converge = false;
    std::optional<std::uint32_t> parallel; ///< connections
};

/// A running domain into a file of libvirt's host.
struct SaveRequest {
    std::string file; ///< absolute
    std::string xml;  ///< the definition that the file shall have
    bool bypass_cache = false;
};

/// A domain out of such a file, which stays.
struct RestoreRequest {
    std::string file; ///< absolute
    std::string xml;  ///< the running guest's definition
    bool bypass_cache = false;
    bool stays_paused = false;
};

/// Bytes of guest memory, and times, as far as libvirt knows them.
struct JobProgress {
    std::chrono::milliseconds elapsed{};
    std::uint64_t total = 0;
    std::uint64_t processed = 0;
    std::uint64_t remaining = 0;
    std::uint64_t bytes_per_second = 0;
    std::uint64_t iterations = 0;
    std::optional<std::chrono::milliseconds> downtime; ///< expected; of a completed job, measured
};

/// Called five times a second by another thread; with `elapsed` alone before the copying begins.
using ProgressCallback = std::function<void(const JobProgress&)>;

enum class DomainEventKind {
    defined,          ///< its stored definition changed
    resumed_migrated, ///< it came from another host and runs
    started,
    stopped,
};

struct DomainEvent {
    DomainEventKind kind;
    std::string name;
    std::string uuid;
};

/// Methods may be called from several threads. Errors carry libvirt's own sentence; ENOENT for a
/// domain that is not there, ENOTSUP and EINVAL for what libvirt refuses, ECANCELED for an aborted
/// job, ECONNREFUSED for a libvirt that cannot be reached.
class LibvirtConnection {
public:
    LibvirtConnection() = default;
    LibvirtConnection(const LibvirtConnection&) = delete;
    LibvirtConnection& operator=(const LibvirtConnection&) = delete;
    virtual ~LibvirtConnection() = default;

    [[nodiscard]] virtual const std::string& uri() const = 0;
    virtual Result<HypervisorVersions> versions() = 0;
    /// Every domain, running or not, by name.
    virtual Result<std::vector<DomainState>> domains() = 0;
    /// By name or UUID; ENOENT with "did you mean".
    virtual Result<DomainState> find_domain(const std::string& domain) = 0;
    virtual Result<std::string> definition(const std::string& domain, DefinitionKind kind) = 0;
    /// Stores a definition, validated with libvirt's grammar.
    virtual Result<void> define(const std::string& xml) = 0;
    /// Puts `xml` under `namespace_uri` into <metadata>; replaces what was there.
    virtual Result<void> set_metadata(const std::string& domain,
                                      const std::string& namespace_uri,
                                      const std::string& xml,
                                      ChangeScope scope) = 0;
    virtual Result<void>
    attach_device(const std::string& domain, const std::string& xml, ChangeScope scope) = 0;
    /// Of a running guest only asks for it: the share is in the live definition until the guest
    /// has let go of it.
    virtual Result<void>
    detach_device(const std::string& domain, const std::string& xml, ChangeScope scope) = 0;

    /// Moves a running domain. When `cancel` becomes true the job is aborted and the guest goes on
    /// here: ECANCELED. Returns the completed job's figures.
    virtual Result<JobProgress> migrate(const std::string& domain,
                                        LibvirtConnection& destination,
                                        const MigrationRequest& request,
                                        const ProgressCallback& progress,
                                        const std::atomic<bool>& cancel) = 0;
    /// Writes a running domain to a file and ends it here. `cancel` as with migrate(); the file is
    /// gone then. Returns the figures.
    virtual Result<JobProgress> save(const std::string& domain,
                                     const SaveRequest& request,
                                     const ProgressCallback& progress,
                                     const std::atomic<bool>& cancel) = 0;
    /// The definition in a file that save() or virsh wrote.
    virtual Result<std::string> saved_definition(const std::string& file) = 0;
    /// Of the progress only the time is known.
    virtual Result<JobProgress> restore(const RestoreRequest& request,
                                        const ProgressCallback& progress) = 0;
    /// Why QEMU would refuse to migrate now (a mounted 9p, for one); empty: nothing known.
    virtual Result<std::vector<std::string>> migration_blockers(const std::string& domain) = 0;
    /// The chardevs of vhost-user devices that have lost their daemon, by QEMU's id of the chardev
    /// ("chr-vu-fs0"). libvirt itself does not tell.
    virtual Result<std::vector<std::string>> dead_daemons(const std::string& domain) = 0;

    /// Calls `handler` for each event until `stop` becomes true or the connection is lost
    /// (ECONNRESET). From the calling thread.
    virtual Result<void> watch(const std::function<void(const DomainEvent&)>& handler,
                               const std::atomic<bool>& stop) = 0;
};

/// "qemu:///system", "qemu+ssh://n2/system". ECONNREFUSED names the uri.
using ConnectLibvirt =
    std::function<Result<std::unique_ptr<LibvirtConnection>>(const std::string& uri)>;

} // namespace vfskit::vfsctl

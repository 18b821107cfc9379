// SPDX-License-Identifier: Apache-2.0
// Migrate, save, restore. The call blocks its thread; a second one watches and cancels.
#include "vfsctl/libvirt/module/virt_connection.h"
#include "vfsctl/libvirt/module/virt_error.h"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace vfskit::vfsctl {

namespace {

constexpr std::chrono::milliseconds progress_interval{200};

JobProgress progress_of(const VirParams& params) {
    JobProgress progress;
    progress.elapsed = std::chrono::milliseconds{params.number(VIR_DOMAIN_JOB_TIME_ELAPSED)};
    progress.total = params.number(VIR_DOMAIN_JOB_MEMORY_TOTAL);
    progress.processed = params.number(VIR_DOMAIN_JOB_MEMORY_PROCESSED);
    progress.remaining = params.number(VIR_DOMAIN_JOB_MEMORY_REMAINING);
    progress.bytes_per_second = params.number(VIR_DOMAIN_JOB_MEMORY_BPS);
    progress.iterations = params.number(VIR_DOMAIN_JOB_MEMORY_ITERATION);
    if (params.has(VIR_DOMAIN_JOB_DOWNTIME)) {
        progress.downtime = std::chrono::milliseconds{params.number(VIR_DOMAIN_JOB_DOWNTIME)};
    }
    return progress;
}

// Tells of a domain's job and aborts it when asked to, until destroyed. Without a domain, of the
// time alone.
class JobWatch {
public:
    JobWatch(virDomainPtr domain, const ProgressCallback& callback, const std::atomic<bool>& cancel)
        : domain_{domain}, callback_{callback}, cancel_{cancel}, thread_{[this] { run(); }} {}
    JobWatch(const JobWatch&) = delete;
    JobWatch& operator=(const JobWatch&) = delete;
    [[nodiscard]] std::chrono::milliseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - since_);
    }
    ~JobWatch() {
        {
            const std::lock_guard guard{mutex_};
            ends_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }

private:
    void run() {
        std::unique_lock lock{mutex_};
        while (!wake_.wait_for(lock, progress_interval, [this] { return ends_; })) {
            lock.unlock();
            look();
            lock.lock();
        }
    }

    void look() {
        if (domain_ == nullptr) {
            tell_time();
            return;
        }
        // Again at each look: a job that had not begun yet could not be aborted.
        if (cancel_) {
            ::virDomainAbortJob(domain_);
        }
        int type = 0;
        VirParams params;
        if (::virDomainGetJobStats(domain_, &type, params.receive(), params.receive_count(), 0) !=
                0 ||
            !callback_) {
            return;
        }
        if (type != VIR_DOMAIN_JOB_NONE) {
            has_begun_ = true;
            callback_(progress_of(params));
        } else if (!has_begun_) {
            tell_time();
        }
    }

    void tell_time() const {
        JobProgress waiting;
        waiting.elapsed = elapsed();
        callback_(waiting);
    }

    virDomainPtr domain_;
    const ProgressCallback& callback_;
    const std::atomic<bool>& cancel_;
    std::mutex mutex_; // protects ends_; not held while libvirt is asked
    std::condition_variable wake_;
    bool ends_ = false;
    bool has_begun_ = false; // only the thread's
    const std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
    std::thread thread_; // last: it uses the others
};

unsigned long migration_flags(const MigrationRequest& request) {
    unsigned long flags = VIR_MIGRATE_LIVE;
    if (request.persistent_xml) {
        flags |= VIR_MIGRATE_PERSIST_DEST;
    }
    if (request.undefine_source) {
        flags |= VIR_MIGRATE_UNDEFINE_SOURCE;
    }
    if (request.auto_converge) {
        flags |= VIR_MIGRATE_AUTO_CONVERGE;
    }
    if (request.parallel) {
        flags |= VIR_MIGRATE_PARALLEL;
    }
    return flags;
}

void fill(VirParams& params, const MigrationRequest& request) {
    params.add(VIR_MIGRATE_PARAM_DEST_XML, request.destination_xml);
    if (request.persistent_xml) {
        params.add(VIR_MIGRATE_PARAM_PERSIST_XML, *request.persistent_xml);
    }
    if (request.migrate_uri) {
        params.add(VIR_MIGRATE_PARAM_URI, *request.migrate_uri);
    }
    if (request.bandwidth_mib) {
        params.add(VIR_MIGRATE_PARAM_BANDWIDTH, *request.bandwidth_mib);
    }
    if (request.parallel) {
        params.add(VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, static_cast<int>(*request.parallel));
    }
}

// Nothing where libvirt no longer knows: the guest is where it should be, only the figures are not.
JobProgress completed_job(virDomainPtr domain) {
    int type = 0;
    VirParams stats;
    if (::virDomainGetJobStats(domain,
                               &type,
                               stats.receive(),
                               stats.receive_count(),
                               VIR_DOMAIN_JOB_STATS_COMPLETED) != 0) {
        return {};
    }
    return progress_of(stats);
}

} // namespace

Result<JobProgress> VirtConnection::migrate(const std::string& domain,
                                            LibvirtConnection& destination,
                                            const MigrationRequest& request,
                                            const ProgressCallback& progress,
                                            const std::atomic<bool>& cancel) {
    auto& peer = dynamic_cast<VirtConnection&>(destination);
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    VirParams params;
    fill(params, request);
    VirDomain arrived;
    {
        const JobWatch watch{found.get(), progress, cancel};
        arrived.reset(::virDomainMigrate3(found.get(),
                                          peer.connect_.get(),
                                          params.data(),
                                          params.size(),
                                          static_cast<unsigned int>(migration_flags(request))));
    }
    if (!arrived) {
        const auto doing = fmt::format("Cannot migrate '{}' to '{}'", domain, peer.uri_);
        return cancel ? Error{ECANCELED, doing + ": It was cancelled, and the guest goes on here"}
                      : last_virt_error(doing);
    }
    return completed_job(arrived.get());
}

Result<JobProgress> VirtConnection::save(const std::string& domain,
                                         const SaveRequest& request,
                                         const ProgressCallback& progress,
                                         const std::atomic<bool>& cancel) {
    VFSKIT_TRY_ASSIGN(const auto found, lookup(domain));
    int failed = 0;
    std::chrono::milliseconds elapsed{};
    {
        const JobWatch watch{found.get(), progress, cancel};
        failed = ::virDomainSaveFlags(found.get(),
                                      request.file.c_str(),
                                      request.xml.c_str(),
                                      request.bypass_cache ? VIR_DOMAIN_SAVE_BYPASS_CACHE : 0);
        elapsed = watch.elapsed();
    }
    if (failed != 0) {
        const auto doing = fmt::format("Cannot save '{}' to '{}'", domain, request.file);
        return cancel ? Error{ECANCELED, doing + ": It was cancelled, and the guest goes on here"}
                      : last_virt_error(doing);
    }
    auto figures = completed_job(found.get());
    figures.elapsed = elapsed;
    figures.downtime.reset(); // the guest stands still until it is restored
    return figures;
}

Result<std::string> VirtConnection::saved_definition(const std::string& file) {
    const VirText xml{::virDomainSaveImageGetXMLDesc(
        connect_.get(), file.c_str(), VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)};
    if (!xml) {
        return last_virt_error(fmt::format("Cannot read the saved domain '{}'", file));
    }
    return std::string{xml.get()};
}

Result<JobProgress> VirtConnection::restore(const RestoreRequest& request,
                                            const ProgressCallback& progress) {
    const std::atomic<bool> never{false};
    const JobWatch watch{nullptr, progress, never};
    const auto flags = (request.bypass_cache ? unsigned{VIR_DOMAIN_SAVE_BYPASS_CACHE} : 0U) |
                       (request.stays_paused ? unsigned{VIR_DOMAIN_SAVE_PAUSED} : 0U);
    if (::virDomainRestoreFlags(connect_.get(), request.file.c_str(), request.xml.c_str(), flags) !=
        0) {
        return last_virt_error(fmt::format("Cannot restore '{}'", request.file));
    }
    JobProgress figures;
    figures.elapsed = watch.elapsed();
    return figures;
}

} // namespace vfskit::vfsctl

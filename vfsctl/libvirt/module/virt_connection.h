// SPDX-License-Identifier: Apache-2.0
// LibvirtConnection over libvirt's C API (https://libvirt.org/html/index.html).
#pragma once

#include "vfsctl/libvirt/connection.h"
#include "vfsctl/libvirt/module/virt_handles.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::vfsctl {

class VirtConnection final : public LibvirtConnection {
public:
    static Result<std::unique_ptr<LibvirtConnection>> open(const std::string& uri);

    VirtConnection(std::string uri, VirConnect connect)
        : uri_{std::move(uri)}, connect_{std::move(connect)} {}

    [[nodiscard]] const std::string& uri() const override { return uri_; }
    Result<HypervisorVersions> versions() override;
    Result<std::vector<DomainState>> domains() override;
    Result<DomainState> find_domain(const std::string& domain) override;
    Result<std::string> definition(const std::string& domain, DefinitionKind kind) override;
    Result<void> define(const std::string& xml) override;
    Result<void> set_metadata(const std::string& domain,
                              const std::string& namespace_uri,
                              const std::string& xml,
                              ChangeScope scope) override;
    Result<void>
    attach_device(const std::string& domain, const std::string& xml, ChangeScope scope) override;
    Result<void>
    detach_device(const std::string& domain, const std::string& xml, ChangeScope scope) override;
    Result<JobProgress> migrate(const std::string& domain,
                                LibvirtConnection& destination,
                                const MigrationRequest& request,
                                const ProgressCallback& progress,
                                const std::atomic<bool>& cancel) override;
    Result<JobProgress> save(const std::string& domain,
                             const SaveRequest& request,
                             const ProgressCallback& progress,
                             const std::atomic<bool>& cancel) override;
    Result<std::string> saved_definition(const std::string& file) override;
    Result<JobProgress> restore(const RestoreRequest& request,
                                const ProgressCallback& progress) override;
    Result<std::vector<std::string>> migration_blockers(const std::string& domain) override;
    Result<std::vector<std::string>> dead_daemons(const std::string& domain) override;
    Result<void> watch(const std::function<void(const DomainEvent&)>& handler,
                       const std::atomic<bool>& stop) override;

private:
    Result<VirDomain> lookup(const std::string& domain);
    /// One QMP command's "return".
    Result<std::string> monitor(const std::string& domain, const std::string& command);

    std::string uri_;
    VirConnect connect_;
};

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// What a migration tells while it runs: a bar for people, one JSON document a line for programs
// (schemas/migrate-event.schema.json).
#pragma once

#include "core/domain/rewrite.h"
#include "vfsctl/cmd/check_output.h"
#include "vfsctl/libvirt/connection.h"
#include "vfsctl/output/progress.h"
#include "vfsctl/services.h"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// Calls one after the other; progress() may come from another thread than the others.
class MigrationEvents {
public:
    MigrationEvents(Services& services, std::string domain, std::string node);

    void warn(std::string_view sentence);
    void checked(const CheckedVm& vm, const std::vector<FactsOrigin>& origins);
    void planned(const std::vector<domain::Rewrite>& rewrites, bool is_stored);
    /// Without a total nothing moves yet: the destination makes itself ready, for as long as it
    /// likes. After some seconds that is told, once.
    void progress(const JobProgress& progress);
    void done(const JobProgress& figures);

private:
    [[nodiscard]] nlohmann::ordered_json make_event(std::string_view event) const;
    void print(const nlohmann::ordered_json& event);
    void wait(std::chrono::milliseconds elapsed);

    Services& services_;
    std::string domain_;
    std::string node_;
    std::optional<ProgressBar> bar_;
    bool has_told_wait_ = false;
};

} // namespace vfskit::vfsctl

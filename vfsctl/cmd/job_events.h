// SPDX-License-Identifier: Apache-2.0
// What a migration, a save or a restore tells while it runs: a bar for people, one JSON document a
// line for programs (schemas/migrate-event.schema.json, schemas/save-event.schema.json).
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
#include <utility>
#include <vector>

namespace vfskit::vfsctl {

/// What is being done, as its events name it.
struct Job {
    std::string kind; ///< "migrate-event"
    /// What every event has, in this order: "domain", "node".
    std::vector<std::pair<std::string, std::string>> names;
    /// On the bar as long as no figures are known: "n2 makes itself ready".
    std::string waiting;
    /// Told once when that takes long; empty: nothing but the job itself takes its time.
    std::string long_wait;
};

/// Calls one after the other; progress() may come from another thread than the others.
class JobEvents {
public:
    JobEvents(Services& services, Job job);

    void checked(const CheckedVm& vm, const std::vector<FactsOrigin>& origins);
    /// `sentence` says what follows. `is_stored`: the definition will be stored too; absent where
    /// that is no question.
    void planned(const std::vector<domain::Rewrite>& rewrites,
                 std::optional<bool> is_stored,
                 std::string_view sentence);
    /// Without a total nothing moves yet: a node makes itself ready, for as long as it likes. After
    /// some seconds that is told, once.
    void progress(const JobProgress& progress);
    void done(const JobProgress& figures, std::string_view sentence);

private:
    [[nodiscard]] nlohmann::ordered_json make_event(std::string_view event) const;
    void print(const nlohmann::ordered_json& event);
    void warn(std::string_view sentence);
    void wait(std::chrono::milliseconds elapsed);

    Services& services_;
    Job job_;
    std::optional<ProgressBar> bar_;
    bool has_told_wait_ = false;
};

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/check_facts.h"

#include "core/base/file.h"
#include "core/control/client.h"
#include "core/store/pve_resources.h"
#include "vfsctl/node_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

namespace vfskit::vfsctl {
namespace {

using node::NodeFacts;

constexpr std::size_t max_facts_bytes = std::size_t{8} << 20U;
constexpr std::size_t max_examples = 5;
// A daemon compares some 100 000 files a second.
constexpr std::chrono::seconds report_timeout{20};

Result<NodeFacts> read_facts_file(const std::string& path) {
    VFSKIT_TRY_ASSIGN(const auto content, base::read_file(path, max_facts_bytes));
    auto facts = node::parse_facts(content);
    if (!facts) {
        return std::move(facts).error().at({path, 0, {}});
    }
    return facts;
}

node::OpenFilesFacts summarize(const control::MigrationReport& report) {
    node::OpenFilesFacts files;
    for (const auto& file : report.files) {
        switch (file.passage) {
        case control::Passage::none:
            ++files.stuck;
            break;
        case control::Passage::same_directory:
            ++files.by_handle;
            break;
        case control::Passage::same_host:
            ++files.by_descriptor;
            break;
        }
        if (files.examples.size() < max_examples && !file.path.empty()) {
            files.examples.push_back(file.path);
        }
    }
    // What the report counts and does not list may be of the worst kind.
    files.stuck +=
        report.unreachable - std::min<std::uint64_t>(report.unreachable, report.files.size());
    files.locks = report.posix_locks + report.flocks;
    files.locks_move = report.locks_move;
    return files;
}

/// Daemons of this host answer for themselves; one that does not leaves the question open.
void ask_daemons(NodeFacts& facts, const std::vector<PlacedVm>& vms) {
    for (auto& daemon : facts.daemons) {
        const bool is_ours = std::ranges::any_of(vms, [&](const PlacedVm& placed) {
            return daemon.vm == placed.vm.name && placed.node == facts.node;
        });
        if (!is_ours || !daemon.is_alive || !daemon.control_socket) {
            continue;
        }
        auto client = control::Client::connect(*daemon.control_socket, report_timeout);
        if (!client) {
            continue;
        }
        if (const auto report = client->migration_report()) {
            daemon.open_files = summarize(*report);
        } else if (report.error().code() == ENOTCONN) {
            daemon.open_files = node::OpenFilesFacts{}; // no guest has mounted it: nothing is open
        }
    }
}

} // namespace

void bind_facts_choice(FactsChoice& choice, OptionSet& set) {
    set.list({.name = "--facts",
              .value = "FILE",
              .help = "A node's facts from a file ('vfsctl node facts --json') instead of where "
                      "it published them. May be repeated",
              .completes = Completes::file,
              .is_repeatable = true},
             choice.files)
        .value({.name = "--max-age",
                .value = "SECONDS",
                .help = "Facts that are older are no ground to decide on. Without it 600"},
               choice.max_age,
               [](std::string_view word) {
                   return base::parse_unsigned(word, "max-age", 1'000'000'000);
               })
        .flag({.name = "--no-ssh",
               .help = "Do not ask nodes over ssh that have not published their facts"},
              choice.without_ssh);
}

Result<CheckGround> prepare_ground(const FactsChoice& choice,
                                   const std::set<std::string>& nodes,
                                   const std::vector<PlacedVm>& vms,
                                   Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(auto snapshot, store->snapshot());
    warn_about(snapshot.notices, services.output);
    std::map<std::string, std::string> file_of;
    for (const auto& path : choice.files) {
        VFSKIT_TRY_ASSIGN(const auto facts, read_facts_file(path));
        file_of.insert_or_assign(facts.node, path);
    }
    std::vector<NodeFacts> facts;
    std::vector<FactsOrigin> origins;
    for (const auto& node : nodes) {
        node::FactsRequest request;
        request.node = node;
        if (const auto file = file_of.find(node); file != file_of.end()) {
            request.file = file->second;
        }
        request.may_use_ssh = !choice.without_ssh;
        request.max_age = std::chrono::seconds{choice.max_age};
        auto& origin = origins.emplace_back();
        origin.node = node;
        auto found = find_facts(services, request);
        if (!found) {
            origin.problem = found.error().describe();
            continue;
        }
        origin.origin = found->origin;
        origin.age = found->age;
        if (node == services.environment.node_name && !request.file) {
            ask_daemons(found->facts, vms);
        }
        facts.push_back(std::move(found->facts));
    }
    return CheckGround{check::Cluster{std::move(snapshot.mappings), std::move(facts)},
                       std::move(origins)};
}

Result<std::set<std::string>> all_nodes(Services& services, const FactsChoice& choice) {
    std::set<std::string> nodes;
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    for (const auto& mapping : snapshot.mappings) {
        for (const auto& path : mapping.paths) {
            nodes.insert(path.node);
        }
    }
    for (const auto& path : choice.files) {
        VFSKIT_TRY_ASSIGN(const auto facts, read_facts_file(path));
        nodes.insert(facts.node);
    }
    if (const auto root = pve_root_of(services)) {
        VFSKIT_TRY_ASSIGN(const auto members, store::read_pve_nodes(*root));
        nodes.insert(members.begin(), members.end());
    }
    if (const auto published = open_facts(services)) {
        if (const auto documents = (*published)->read_all()) {
            for (const auto& document : *documents) {
                nodes.insert(document.node);
            }
        }
    }
    return nodes;
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// How one node gets the facts of another: from where it published them, from itself over ssh, or
// from a file. No facts is an Error that says why, never an empty set of facts.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/node/facts.h"
#include "core/share/dialect.h"
#include "core/store/facts_store.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::node {

/// Facts, and how far they can be trusted.
struct FoundFacts {
    NodeFacts facts;
    std::string origin; ///< "file 'n2.json'", "node 'n2' over ssh", "directory '/…'", "here"
    std::chrono::seconds age{}; ///< when they were found; 0 when the other clock is ahead
};

/// Which ways may be gone, in this order: the file if one is named (then no other way), this node
/// itself, what was published, ssh.
struct FactsRequest {
    std::string node;
    std::optional<std::string> file = std::nullopt; ///< what 'vfsctl node facts --json' printed
    bool may_use_store = true;
    bool may_use_ssh = true;
    /// For ssh; absent: the node's name. "root@10.0.0.2".
    std::optional<std::string> ssh_destination = std::nullopt;
    /// Published facts that are older do not count. Facts of a file do, at any age.
    std::chrono::seconds max_age{900};
};

/// The world that find_facts() works in; tests make one up.
struct FactsWorld {
    std::string this_node;
    std::function<Result<NodeFacts>()> collect_here;
    /// Where nodes publish; opened only when it is needed.
    std::function<Result<std::unique_ptr<store::FactsStore>>()> open_store;
    share::ProcessRunner run_ssh;
    std::function<Time()> now;
};

/// The facts of request.node. ENOENT: nobody has published them and no other way may be gone;
/// ESTALE: they are older than max_age; EBADMSG: they cannot be read; EINVAL: they are of another
/// node; EHOSTUNREACH: ssh failed, with what it said. When several ways fail the error tells each.
Result<FoundFacts> find_facts(const FactsRequest& request, const FactsWorld& world);

/// The command that asks `destination`: ssh without questions, with a bound on connecting. EINVAL
/// for a destination that ssh would take for an option.
Result<ProcessSpec> facts_over_ssh(const std::string& destination, std::string_view node);
/// Runs it; gives up after 30 seconds.
Result<base::ProcessOutput> run_ssh(const ProcessSpec& spec);

/// Since the facts were collected; not below zero.
std::chrono::seconds age_of(const NodeFacts& facts, Time now);

} // namespace vfskit::node

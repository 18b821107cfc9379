// SPDX-License-Identifier: Apache-2.0
// What a verb may touch. Everything outside the process enters through here, so that tests run a
// verb in process.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/launch/service_manager.h"
#include "core/mapping/mapping.h"
#include "core/node/collect.h"
#include "core/share/dialect.h"
#include "core/store/facts_store.h"
#include "core/store/store.h"
#include "vfsctl/libvirt/connection.h"
#include "vfsctl/output/output.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

struct VerbTable;

/// The world outside, as main() finds it and as tests make it up.
struct Environment {
    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    std::size_t columns = 0; ///< width of the terminal; 0: no limit
    std::string node_name;   ///< uname's nodename up to the first dot
    bool pmxcfs_is_mounted = false;
    /// An environment variable, "" when it is not set.
    std::function<std::string(const std::string&)> variable;
    std::function<Result<std::unique_ptr<store::MappingStore>>(std::string_view url)> open_store;
    share::ProcessRunner run_process;
    /// node::collect() of this machine.
    std::function<node::NodeFacts(const node::CollectRequest&)> collect_facts;
    /// The place of published facts that belongs to a store.
    std::function<Result<std::unique_ptr<store::FactsStore>>(std::string_view store_url)>
        open_facts;
    share::ProcessRunner run_ssh;
    ConnectLibvirt connect_libvirt;
    std::function<bool(const std::string&)> is_directory;
    std::function<bool(const std::string&)> is_executable;
    std::function<void(std::chrono::milliseconds)> pause;
    /// From now on SIGINT and SIGTERM set the flag instead of ending the process.
    std::function<const std::atomic<bool>&()> catch_interrupt;
    /// Nothing where systemd does not run this host.
    std::function<Result<std::unique_ptr<launch::ServiceManager>>()> connect_systemd;
};

/// What a verb gets: the world and the global options.
struct Services {
    Environment& environment;
    Output& output;
    const VerbTable& verbs;
    std::string store_url;
    std::string node;           ///< --node, else this node
    bool node_is_given = false; ///< --node was on the command line

    /// The store of --store, VFSKIT_STORE, or this node's default.
    [[nodiscard]] Result<std::unique_ptr<store::MappingStore>> open_store() const;
};

/// A whole file, or standard input for "-". ENOENT names it.
Result<std::string> read_input(Services& services, const std::string& path);

/// The mapping with this id; ENOENT with the store's url and, where one is near, "did you mean".
Result<const mapping::DirectoryMapping*>
require_mapping(const store::Snapshot& snapshot, std::string_view id, std::string_view store_url);

/// What a store could not make sense of, as warnings.
void warn_about(const std::vector<store::Notice>& notices, Output& output);

/// ENOENT unless the mapping has a path on `node`; the remedy names the nodes it has.
Result<void> require_node(const mapping::DirectoryMapping& mapping, std::string_view node);

} // namespace vfskit::vfsctl

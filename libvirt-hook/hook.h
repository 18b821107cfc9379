// SPDX-License-Identifier: Apache-2.0
// What the hook does for one call, without a process around it.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/launch/layout.h"
#include "core/node/collect_target.h"
#include "core/store/store.h"
#include "libvirt-hook/config.h"
#include "libvirt-hook/hook_call.h"

#include <functional>
#include <string>

namespace vfskit::libvirt_hook {

/// The world outside, as main() finds it and as tests make it up.
struct World {
    Config config;
    std::string node;
    std::function<Result<store::Snapshot>()> read_store;
    /// The facts of this node that the check of an incoming domain decides by.
    std::function<node::NodeFacts(const node::TargetRequest& request)> collect;
    std::function<bool(const std::string& path)> is_executable;
    std::function<bool(const std::string& path)> exists;
    std::function<Result<base::ProcessOutput>(const ProcessSpec&)> run;
};

/// What libvirt gets. `out` is nothing but the whole new XML, or empty: any output taints the
/// domain. `complaint` is for standard error, which whoever runs virsh sees if the exit status is
/// not 0: one line, or one for each finding.
struct Outcome {
    int exit_status = 0;
    std::string out;
    std::string complaint;
};

/// migrate, restore: the domain with the directories, sockets and binaries of this node; refused
/// where the target's half of the check finds a blocker. prepare: starts the daemons that vfskit
/// keeps. release: stops them. reconnect: clears away what dead ones left; never fails. Domains
/// without shares of ours, and other operations: nothing.
Outcome run_hook(const HookCall& call, const std::string& xml, const World& world);

} // namespace vfskit::libvirt_hook

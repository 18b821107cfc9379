// SPDX-License-Identifier: Apache-2.0
#include "core/node/facts_source.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace vfskit::node {

namespace {

constexpr std::size_t max_facts_file = 16 << 20;
/// ssh's own exit status when it could not connect.
constexpr int ssh_failed = 255;

Result<FoundFacts> judge(Result<NodeFacts> facts,
                         const FactsRequest& request,
                         const FactsWorld& world,
                         std::string origin) {
    if (!facts) {
        return std::move(facts).error().under(
            fmt::format("Facts of node '{}' from {}", request.node, origin));
    }
    if (facts->node != request.node) {
        return Error{EINVAL,
                     fmt::format("The facts from {} are of node '{}', not of '{}'",
                                 origin,
                                 facts->node,
                                 request.node)}
            .with_remedy("Look at which host answers to that name");
    }
    const auto age = age_of(*facts, world.now());
    return FoundFacts{.facts = *std::move(facts), .origin = std::move(origin), .age = age};
}

Result<FoundFacts> from_file(const FactsRequest& request, const FactsWorld& world) {
    const auto origin = fmt::format("file '{}'", *request.file);
    const auto text = base::read_file(*request.file, max_facts_file);
    return judge(
        text ? parse_facts(*text) : Result<NodeFacts>{text.error()}, request, world, origin);
}

Result<FoundFacts> from_store(const FactsRequest& request, const FactsWorld& world) {
    VFSKIT_TRY_ASSIGN(const auto store, world.open_store());
    VFSKIT_TRY_ASSIGN(const auto document, store->read(request.node));
    if (!document) {
        return Error{
            ENOENT,
            fmt::format("Node '{}' has published no facts in {}", request.node, store->place())}
            .with_remedy(fmt::format("Run 'vfsctl node publish' on '{}'", request.node));
    }
    VFSKIT_TRY_ASSIGN(auto found, judge(parse_facts(*document), request, world, store->place()));
    if (found.age > request.max_age) {
        return Error{ESTALE,
                     fmt::format("The facts of node '{}' in {} are {} s old, at most {} s count",
                                 request.node,
                                 store->place(),
                                 found.age.count(),
                                 request.max_age.count())}
            .with_remedy(
                fmt::format("Run 'vfsctl node publish' on '{}', and see that its timer runs "
                            "(vfskit-pve.timer, or else vfskit-node-publish.timer)",
                            request.node));
    }
    return found;
}

Result<FoundFacts> over_ssh(const FactsRequest& request, const FactsWorld& world) {
    const auto destination = request.ssh_destination.value_or(request.node);
    VFSKIT_TRY_ASSIGN(const auto spec, facts_over_ssh(destination, request.node));
    VFSKIT_TRY_ASSIGN(const auto output, world.run_ssh(spec));
    if (output.exit_status != 0) {
        const auto said = base::trim(output.err);
        return Error{EHOSTUNREACH,
                     fmt::format("'{}' ended with status {}: {}",
                                 spec.shell_line(),
                                 output.exit_status,
                                 said.empty() ? "it said nothing" : said)}
            .with_remedy(output.exit_status == ssh_failed
                             ? "Let root log in there with a key, or let the node publish its facts"
                             : "Install vfskit on that node");
    }
    return judge(
        parse_facts(output.out), request, world, fmt::format("node '{}' over ssh", destination));
}

} // namespace

std::chrono::seconds age_of(const NodeFacts& facts, Time now) {
    return std::chrono::floor<std::chrono::seconds>(std::max(now, facts.collected_at) -
                                                    facts.collected_at);
}

Result<ProcessSpec> facts_over_ssh(const std::string& destination, std::string_view node) {
    if (destination.empty() || destination.starts_with('-')) {
        return Error{EINVAL, fmt::format("'{}' is no destination for ssh", destination)};
    }
    // The far shell reads the words again.
    const std::vector<std::string> far{
        "vfsctl", "node", "facts", "--json", "--node", std::string{node}};
    return ProcessSpec{.program = "ssh",
                       .args = {"-T",
                                "-oBatchMode=yes",
                                "-oConnectTimeout=10",
                                "-oServerAliveInterval=5",
                                "-oServerAliveCountMax=2",
                                "--",
                                destination,
                                base::shell_join(far)}};
}

Result<base::ProcessOutput> run_ssh(const ProcessSpec& spec) {
    return base::run_and_capture(spec, std::chrono::seconds{30}, max_facts_file);
}

Result<FoundFacts> find_facts(const FactsRequest& request, const FactsWorld& world) {
    if (request.file) {
        return from_file(request, world);
    }
    if (request.node == world.this_node) {
        return judge(world.collect_here(), request, world, "here");
    }
    std::optional<Error> first;
    if (request.may_use_store) {
        auto found = from_store(request, world);
        if (found || !request.may_use_ssh) {
            return found;
        }
        first = std::move(found).error();
    }
    if (request.may_use_ssh) {
        auto found = over_ssh(request, world);
        if (found || !first) {
            return found;
        }
        return Error{first->code(),
                     fmt::format("{}; and over ssh: {}", first->message(), found.error().message())}
            .with_remedy(first->remedy().empty() ? found.error().remedy() : first->remedy());
    }
    return Error{ENOENT, fmt::format("There is no way to the facts of node '{}'", request.node)}
        .with_remedy("Allow published facts or ssh, or name a file");
}

} // namespace vfskit::node

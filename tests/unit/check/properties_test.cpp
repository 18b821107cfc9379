// SPDX-License-Identifier: Apache-2.0
// What holds for every world: not knowing is never a pass, and more trouble never looks like less.
#include "tests/unit/check/world.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace vfskit {
namespace {

using check::Severity;
using mapping::PathRelation;
using test::World;

using Change = void (*)(World&);

World world_with_handles() {
    World world;
    world.use_file_handles();
    world.vm.has_hugepages = true;
    return world;
}

/// Each takes one thing away that the check of world_with_handles() decides by.
const Change unknowns[] = {
    [](World& w) { w.has_source_facts = false; },
    [](World& w) { w.has_target_facts = false; },
    [](World& w) { w.source.boot_id.clear(); },
    [](World& w) { w.target.boot_id.clear(); },
    [](World& w) { w.source.guests.clear(); },
    [](World& w) { w.source.guests[0].version.reset(); },
    [](World& w) {
        w.source.guests[0].started_at.reset();
        w.daemon().started_at.reset();
    },
    [](World& w) { w.source.daemons.clear(); },
    [](World& w) { w.daemon().options.reset(); },
    [](World& w) {
        w.daemon().kind.reset();
        w.source.virtiofsds.clear();
    },
    [](World& w) {
        w.daemon().version.reset();
        w.source.virtiofsds.clear();
    },
    [](World& w) { w.source.libvirt.reset(); },
    [](World& w) { w.source.libvirt->version.reset(); },
    [](World& w) { w.source.libvirt->started_at.reset(); },
    [](World& w) { w.source.paths.clear(); },
    [](World& w) { w.source_path().name_to_handle_works.reset(); },
    [](World& w) { w.source_path().root_handle.reset(); },
    [](World& w) { w.source_path().inode.reset(); },
    [](World& w) { w.source_path().fs_id.reset(); },
    [](World& w) { w.source_path().fs_type.reset(); },
    [](World& w) { w.target.virtiofsds.clear(); },
    [](World& w) { w.target.virtiofsds[0].kind.reset(); },
    [](World& w) { w.target.virtiofsds[0].version.reset(); },
    [](World& w) { w.target.qemus.clear(); },
    [](World& w) { w.target.qemus[0].version.reset(); },
    [](World& w) { w.target.libvirt.reset(); },
    [](World& w) { w.target.libvirt->version.reset(); },
    [](World& w) { w.target.libvirt->hook.is_loaded.reset(); },
    [](World& w) { w.target.memory.reset(); },
    [](World& w) { w.target.paths.clear(); },
    [](World& w) { w.target_path().exists.reset(); },
    [](World& w) { w.target_path().is_directory.reset(); },
    [](World& w) { w.target_path().name_to_handle_works.reset(); },
    [](World& w) { w.target_path().open_by_handle_works.reset(); },
    [](World& w) { w.target_path().root_handle.reset(); },
    [](World& w) { w.target_path().inode.reset(); },
    [](World& w) { w.target_path().fs_id.reset(); },
    [](World& w) { w.target_path().fs_type.reset(); },
};

/// Faults that do not take each other's ground away: each is found whatever else is wrong.
const Change faults[] = {
    [](World& w) { w.vm.has_shared_memory = false; },
    [](World& w) { w.vm.snapshots = 3; },
    [](World& w) { w.migration.post_copy = true; },
    [](World& w) { w.add_ninep(true); },
    [](World& w) { w.migration.descriptor_transfer = check::DescriptorTransfer::cpr_transfer; },
    [](World& w) { w.media().path_relation = PathRelation::replicas; },
    [](World& w) { w.daemon().is_alive = false; },
    [](World& w) { w.daemon().shared_dir = "/srv/other"; },
    [](World& w) {
        w.source.guests[0].version = node::Version{8, 0, 0};
    },
    [](World& w) {
        w.source.libvirt->version = node::Version{9, 0, 0};
    },
    [](World& w) { w.source.libvirt->started_at = test::world_time; },
    [](World& w) {
        w.target.libvirt->version = node::Version{9, 0, 0};
    },
    [](World& w) { w.target.libvirt->hook.is_installed = false; },
    [](World& w) {
        w.target.qemus[0].version = node::Version{7, 2, 0};
    },
    [](World& w) { w.target.memory->hugepages[0].free = 0; },
    [](World& w) { w.target_path().exists = false; },
    [](World& w) { w.target_path().is_expected_mount = false; },
    [](World& w) { w.target_path().name_to_handle_works = false; },
    [](World& w) { w.target_path().inode = 77; },
    [](World& w) { w.target.virtiofsds[0].features = {"separate-options"}; },
    [](World& w) { w.migration.persistent = true; },
    [](World& w) { w.migration.now = test::world_time + std::chrono::hours{2}; },
};

std::set<std::pair<std::string, std::string>> blockers_of(const World& world) {
    std::set<std::pair<std::string, std::string>> blockers;
    for (const auto& finding : world.findings()) {
        if (finding.severity() == Severity::blocker) {
            blockers.emplace(finding.code_text(), finding.subject);
        }
    }
    return blockers;
}

bool passes(const World& world) {
    const auto worst = check::worst(world.findings());
    return !worst || *worst == Severity::note;
}

TEST(CheckProperties, TheWorldOfTheTestsPasses) {
    EXPECT_TRUE(passes(World{})) << World{}.text();
    EXPECT_TRUE(passes(world_with_handles())) << world_with_handles().text();
}

TEST(CheckProperties, NothingUnknownPasses) {
    for (std::size_t i = 0; i < std::size(unknowns); ++i) {
        auto world = world_with_handles();
        unknowns[i](world);
        EXPECT_FALSE(passes(world)) << "unknown " << i << "\n" << world.text();
    }
}

TEST(CheckProperties, NothingUnknownTakesABlockerAwayAltogether) {
    for (const auto fault : faults) {
        auto broken = world_with_handles();
        fault(broken);
        if (blockers_of(broken).empty()) {
            continue; // a warning
        }
        for (std::size_t i = 0; i < std::size(unknowns); ++i) {
            auto world = world_with_handles();
            fault(world);
            unknowns[i](world);
            EXPECT_FALSE(passes(world)) << "unknown " << i << "\n" << world.text();
        }
    }
}

TEST(CheckProperties, AFaultNeverRemovesABlocker) {
    std::minstd_rand random{20260223}; // fixed: a failure can be repeated
    std::uniform_int_distribution<std::size_t> any{0, std::size(faults) - 1};
    for (int round = 0; round < 20'000; ++round) {
        auto world = world_with_handles();
        std::set<std::size_t> done;
        const auto count = any(random) % 6;
        while (done.size() < count) {
            const auto index = any(random);
            if (done.insert(index).second) {
                faults[index](world);
            }
        }
        const auto before = blockers_of(world);
        const auto added = any(random);
        if (done.contains(added)) {
            continue;
        }
        faults[added](world);
        const auto after = blockers_of(world);
        ASSERT_TRUE(std::ranges::includes(after, before)) << "fault " << added << "\n"
                                                          << world.text();
    }
}

TEST(CheckProperties, TheSameQuestionHasTheSameAnswer) {
    auto world = world_with_handles();
    for (const auto fault : faults) {
        fault(world);
    }
    EXPECT_EQ(world.findings(), world.findings());
}

TEST(CheckProperties, BlockersComeFirst) {
    auto world = world_with_handles();
    for (const auto fault : faults) {
        fault(world);
    }
    const auto report = world.report();
    for (const auto* const findings : {&report.findings, &report.targets[0].findings}) {
        EXPECT_TRUE(
            std::ranges::is_sorted(*findings, std::ranges::greater{}, &check::Finding::severity));
    }
}

TEST(CheckProperties, AVmWithoutSharesPasses) {
    World world;
    world.vm.shares.clear();
    world.has_source_facts = world.has_target_facts = false;
    EXPECT_TRUE(world.findings().empty()) << world.text();
}

TEST(CheckProperties, EveryFindingHasItsTexts) {
    for (const auto fault : faults) {
        auto world = world_with_handles();
        fault(world);
        for (const auto& finding : world.findings()) {
            EXPECT_FALSE(finding.subject.empty());
            EXPECT_FALSE(finding.sentence.empty());
            EXPECT_FALSE(finding.remedy.empty());
            EXPECT_NE(finding.sentence.back(), '.') << finding.sentence;
            EXPECT_NE(finding.remedy.back(), '.') << finding.remedy;
        }
    }
}

// The target's half, as the hook and the gate ask for it: with the facts of one node.
TEST(CheckTarget, PassesWithTheFactsOfTheTargetAlone) {
    World world;
    world.has_source_facts = false;
    world.migration.rewrites_xml = true;
    const auto cluster = world.cluster();

    const auto findings = check::check_target(world.vm, cluster, "n2", world.migration);

    EXPECT_TRUE(findings.empty()) << findings.front().sentence;
}

TEST(CheckTarget, FindsWhatOnlyTheTargetLacks) {
    const std::pair<Change, check::Code> cases[] = {
        {[](World& w) { w.media().paths.pop_back(); }, check::Code::no_path_on_target},
        {[](World& w) { w.mappings.clear(); }, check::Code::mapping_missing},
        {[](World& w) { w.media().live_migration_method.reset(); }, check::Code::method_not_set},
        {[](World& w) { w.target_path().exists = false; }, check::Code::path_missing},
        {[](World& w) { w.target_path().is_expected_mount = false; },
         check::Code::path_not_mounted},
        {[](World& w) { w.target.virtiofsds.clear(); }, check::Code::target_daemon_missing},
        {[](World& w) {
             w.use_file_handles();
             w.target.has_dac_read_search = false;
         },
         check::Code::capability_missing},
    };
    for (const auto& [change, code] : cases) {
        World world;
        change(world);
        world.has_source_facts = false;
        const auto cluster = world.cluster();
        const auto findings = check::check_target(world.vm, cluster, "n2", world.migration);
        EXPECT_NE(std::ranges::find(findings, code, &check::Finding::code), findings.end())
            << to_string(code);
    }
}

} // namespace
} // namespace vfskit

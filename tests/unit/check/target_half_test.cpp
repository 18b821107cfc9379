// SPDX-License-Identifier: Apache-2.0
// What only the target's half looks at, and what it leaves to others.
#include "tests/unit/check/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit {
namespace {

using check::Code;
using test::World;

std::vector<Code> codes_of(const World& world) {
    std::vector<Code> codes;
    const auto cluster = world.cluster();
    for (const auto& finding :
         check::check_target(world.vm, cluster, world.target_name, world.migration)) {
        codes.push_back(finding.code);
    }
    return codes;
}

TEST(TargetHalf, LeavesVersionsToALibvirtThatHasBegun) {
    World world;
    world.target.libvirt.reset();
    world.target.qemus.clear();
    EXPECT_THAT(codes_of(world), testing::Contains(Code::deciding_fact_unknown));

    world.migration.has_begun = true;
    EXPECT_THAT(codes_of(world), testing::Not(testing::Contains(Code::deciding_fact_unknown)));
}

TEST(TargetHalf, LooksAtTheDirectoryOfA9pExport) {
    World world;
    world.vm.shares.clear();
    world.add_ninep(false);
    EXPECT_THAT(codes_of(world), testing::IsEmpty());

    world.target_path().exists = false;
    EXPECT_THAT(codes_of(world), testing::ElementsAre(Code::path_missing));
}

TEST(TargetHalf, LeavesA9pExportAloneThatOnlyHasTheNameOfAMapping) {
    World world;
    world.vm.shares.clear();
    world.add_ninep(false);
    world.vm.ninep.front().source_dir = "/somewhere/else";
    world.target_path().exists = false;

    EXPECT_THAT(codes_of(world), testing::IsEmpty());
}

} // namespace
} // namespace vfskit

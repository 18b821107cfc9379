// SPDX-License-Identifier: Apache-2.0
#include "core/node/collect_parts.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

namespace vfskit::node {
namespace {

/// A node of Proxmox VE with our plugin, and a perl that answers as the test wants.
class CollectPve : public testing::Test {
protected:
    CollectPve() {
        std::filesystem::create_directories(dir.path("usr/share/perl5/PVE"));
        std::filesystem::create_directories(dir.path("etc/perl/PVE/QemuMigrate"));
        dir.write("usr/share/perl5/PVE/QemuServer.pm", "1;\n");
        dir.write("usr/share/perl5/PVE/Vfskit.pm", "our $VERSION = '0.1.0';\n");
        dir.write("etc/perl/PVE/QemuMigrate/Helpers.pm", "1;\n");
        places.root = dir.root();
        places.run = [this](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
            if (!spec.program.ends_with("perl") || perl_prints.empty()) {
                return Error{ENOENT, "There is no " + spec.program};
            }
            return base::ProcessOutput{0, perl_prints, ""};
        };
    }

    test::TempDir dir;
    Places places;
    std::string perl_prints = "yes";
};

TEST_F(CollectPve, HasTheReturnPathWhereThePluginFits) {
    EXPECT_EQ(collect_pve(places)->has_return_path, true);
}

TEST_F(CollectPve, HasNoneWithCodeThatThePluginWasNotTestedWith) {
    perl_prints = "no";

    EXPECT_EQ(collect_pve(places)->has_return_path, false);
}

TEST_F(CollectPve, DoesNotKnowWhenPerlDoesNotSay) {
    perl_prints = "";

    EXPECT_EQ(collect_pve(places)->has_return_path, std::nullopt);
}

TEST_F(CollectPve, HasNoneWithoutAStandIn) {
    std::filesystem::remove_all(dir.path("etc/perl"));

    EXPECT_EQ(collect_pve(places)->has_return_path, false);
}

TEST_F(CollectPve, HasNoneWithoutThePlugin) {
    std::filesystem::remove(dir.path("usr/share/perl5/PVE/Vfskit.pm"));

    EXPECT_EQ(collect_pve(places)->has_return_path, false);
}

} // namespace
} // namespace vfskit::node

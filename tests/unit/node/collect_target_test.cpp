// SPDX-License-Identifier: Apache-2.0
#include "core/node/collect_target.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace vfskit::node {
namespace {

class CollectTarget : public testing::Test {
protected:
    CollectTarget() {
        places.root = dir.root();
        std::filesystem::create_directories(dir.path("etc/qemu/vhost-user"));
        request.node = "n2";
    }

    /// A virtiofsd that answers as upstream's does.
    void install(const std::string& name, const std::string& version) {
        dir.write(name,
                  "#!/bin/sh\n"
                  "case $1 in\n"
                  "--version) echo 'virtiofsd " +
                      version +
                      "' ;;\n"
                      "*) echo '{\"type\": \"fs\", \"features\": [\"migrate-precopy\"]}' ;;\n"
                      "esac\n");
        ::chmod(dir.path(name).c_str(), 0755);
    }
    void offer(const std::string& file, const std::string& binary) {
        dir.write("etc/qemu/vhost-user/" + file,
                  R"({"type": "fs", "binary": ")" + binary + R"("})");
    }

    test::TempDir dir;
    Places places;
    TargetRequest request;
};

TEST_F(CollectTarget, LooksAtThePathsThatItIsGiven) {
    request.paths = {{"media", dir.root()}, {"lost", dir.path("lost")}};

    const auto facts = collect_target(request, places);

    ASSERT_NE(facts.find_path("media"), nullptr);
    EXPECT_EQ(facts.find_path("media")->is_directory, true);
    ASSERT_NE(facts.find_path("lost"), nullptr);
    EXPECT_EQ(facts.find_path("lost")->exists, false);
    EXPECT_EQ(facts.node, "n2");
}

TEST_F(CollectTarget, FindsAMountThatIsExpectedAndMissing) {
    std::filesystem::create_directories(dir.path("media"));
    dir.write("etc/fstab", "nas:/media " + dir.path("media") + " nfs defaults 0 0\n");
    request.paths = {{"media", dir.path("media")}};

    EXPECT_EQ(collect_target(request, places).find_path("media")->is_expected_mount, false);
}

TEST_F(CollectTarget, AsksTheProgramsThatItIsGiven) {
    install("virtiofsd", "1.13.2");
    install("other", "1.14.0");
    request.virtiofsds = {"/virtiofsd", "/missing"};

    const auto facts = collect_target(request, places);

    ASSERT_EQ(facts.virtiofsds.size(), 1U);
    EXPECT_EQ(facts.virtiofsds.front().path, "/virtiofsd");
    EXPECT_EQ(facts.virtiofsds.front().version, (Version{1, 13, 2}));
    EXPECT_TRUE(facts.virtiofsds.front().has_feature("migrate-precopy"));
    EXPECT_FALSE(facts.virtiofsds.front().is_libvirt_default);
}

TEST_F(CollectTarget, AsksTheOneThatLibvirtWouldTake) {
    install("first", "1.13.2");
    install("second", "1.14.0");
    offer("10-gone.json", "/gone");
    offer("20-first.json", "/first");
    offer("30-second.json", "/second");
    request.wants_libvirt_default = true;

    const auto facts = collect_target(request, places);

    ASSERT_EQ(facts.virtiofsds.size(), 1U);
    EXPECT_EQ(facts.virtiofsds.front().path, "/first");
    EXPECT_TRUE(facts.virtiofsds.front().is_libvirt_default);
}

} // namespace
} // namespace vfskit::node

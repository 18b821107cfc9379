// SPDX-License-Identifier: Apache-2.0
#include "core/check/catalogue.h"
#include "core/check/migration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace vfskit::check {
namespace {

using testing::HasSubstr;

TEST(Catalogue, HasEveryCodeOnceWithAllItsTexts) {
    std::set<std::string> codes;
    for (const auto& entry : catalogue()) {
        EXPECT_TRUE(codes.insert(to_string(entry.code)).second);
        EXPECT_FALSE(entry.title.empty());
        EXPECT_EQ(entry.reason.back(), '.') << to_string(entry.code);
        EXPECT_NE(entry.remedy.back(), '.') << to_string(entry.code);
        EXPECT_EQ(&describe(entry.code), &entry);
    }
    EXPECT_GT(codes.size(), 50U);
}

TEST(Catalogue, FindsACodeByItsText) {
    EXPECT_EQ(find_entry("VFS-C020").value()->code, Code::path_missing);
    EXPECT_EQ(find_entry("vfs-c100").value()->code, Code::return_path_off);
    EXPECT_EQ(find_entry("C001").value()->code, Code::source_facts_missing);
}

TEST(Catalogue, RefusesWhatIsNoCode) {
    for (const char* word : {"", "VFS-C999", "VFS-M001", "20", "C", "VFS-C02x"}) {
        const auto entry = find_entry(word);
        ASSERT_FALSE(entry) << word;
        EXPECT_EQ(entry.error().code(), ENOENT);
        EXPECT_THAT(entry.error().remedy(), HasSubstr("VFS-C"));
    }
}

TEST(Migration, ReadsTheTransportOfAnUri) {
    EXPECT_EQ(parse_transport("unix:/tmp/m").value(), Transport::unix_socket);
    EXPECT_EQ(parse_transport("unix:///tmp/m").value(), Transport::unix_socket);
    EXPECT_EQ(parse_transport("tcp://10.0.0.2").value(), Transport::tcp);
    EXPECT_EQ(parse_transport("tcp:0:4444").value(), Transport::tcp);
    EXPECT_EQ(parse_transport("file:/tmp/x").value(), Transport::file);
    EXPECT_EQ(parse_transport("exec:cat").value(), Transport::other);
    EXPECT_FALSE(parse_transport("/tmp/x"));
    EXPECT_FALSE(parse_transport(":x"));
}

TEST(Migration, ReadsItsWords) {
    for (const auto operation :
         {Operation::live, Operation::offline, Operation::save, Operation::snapshot}) {
        EXPECT_EQ(parse_operation(to_string(operation)).value(), operation);
    }
    EXPECT_THAT(parse_operation("lve").error().remedy(), HasSubstr("'live'"));
    EXPECT_EQ(parse_descriptor_transfer("cpr-transfer").value(), DescriptorTransfer::cpr_transfer);
    EXPECT_FALSE(parse_descriptor_transfer("cpr"));
}

} // namespace
} // namespace vfskit::check

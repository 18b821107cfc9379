// SPDX-License-Identifier: Apache-2.0
// The module against libvirt's own test driver: a hypervisor in memory, no daemon.
#include "vfsctl/libvirt/load.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace {

bool libvirt_was_used = false;

} // namespace

/// The leak detector of g++ 12 ends on the thread-local data of libvirt's threads ("Tracer caught
/// signal 11"), so it is asked only where none have run. Without AddressSanitizer nobody calls it.
extern "C" int __lsan_is_turned_off() { // NOLINT(bugprone-reserved-identifier)
    return libvirt_was_used ? 1 : 0;
}

namespace vfskit::vfsctl {

namespace {

std::unique_ptr<LibvirtConnection> open_test_driver() {
    libvirt_was_used = true;
    auto connection = connect_libvirt("test:///default");
    EXPECT_TRUE(connection) << connection.error().describe();
    return connection ? std::move(*connection) : nullptr;
}

TEST(LibvirtModule, ListsTheDomainsOfAHypervisor) {
    const auto connection = open_test_driver();
    ASSERT_NE(connection, nullptr);

    const auto domains = connection->domains();

    ASSERT_TRUE(domains);
    ASSERT_EQ(domains->size(), 1U);
    EXPECT_EQ(domains->front().name, "test");
    EXPECT_TRUE(domains->front().is_running);
    EXPECT_TRUE(domains->front().is_persistent);
}

TEST(LibvirtModule, FindsADomainByItsUuid) {
    const auto connection = open_test_driver();
    ASSERT_NE(connection, nullptr);
    const auto uuid = connection->find_domain("test")->uuid;

    const auto found = connection->find_domain(uuid);

    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, "test");
}

TEST(LibvirtModule, SuggestsTheDomainThatWasMeant) {
    const auto connection = open_test_driver();
    ASSERT_NE(connection, nullptr);

    const auto missing = connection->find_domain("tset");

    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), ENOENT);
    EXPECT_EQ(missing.error().message(), "There is no domain 'tset' at 'test:///default'");
    EXPECT_EQ(missing.error().remedy(), "Did you mean 'test'?");
}

TEST(LibvirtModule, StoresAChangedDefinition) {
    const auto connection = open_test_driver();
    ASSERT_NE(connection, nullptr);
    auto xml = *connection->definition("test", DefinitionKind::inactive);
    xml.replace(xml.find("<vcpu"), 0, "<description>with a share</description>");

    const auto stored = connection->define(xml);

    ASSERT_TRUE(stored) << stored.error().describe();
    EXPECT_NE(connection->definition("test", DefinitionKind::inactive)->find("with a share"),
              std::string::npos);
}

TEST(LibvirtModule, RefusesADefinitionThatIsNone) {
    const auto connection = open_test_driver();
    ASSERT_NE(connection, nullptr);

    const auto stored = connection->define("<domain><unclosed></domain>");

    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code(), EINVAL);
    EXPECT_TRUE(stored.error().message().starts_with("Cannot store the definition: "));
}

TEST(LibvirtModule, TellsWhyItCannotConnect) {
    const auto connection = connect_libvirt("qemu+unix:///system?socket=/nonexistent");

    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().code(), ECONNREFUSED);
    EXPECT_NE(connection.error().message().find("qemu+unix:///system?socket=/nonexistent"),
              std::string::npos);
}

} // namespace

} // namespace vfskit::vfsctl

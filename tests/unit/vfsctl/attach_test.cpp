// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::vfsctl {

namespace {

using test::FakeDomain;
using test::FakeHost;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

const std::string shared_memory =
    "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>";
const std::string media_device = "    <filesystem type='mount'>\n"
                                 "      <driver type='virtiofs' queue='1024'/>\n"
                                 "      <source dir='/srv/media'/>\n"
                                 "      <target dir='media'/>\n"
                                 "    </filesystem>\n";

std::string domain_xml(const std::string& memory, const std::string& devices = "") {
    return "<domain type='kvm'>\n  <name>web</name>\n  <memory>1024</memory>\n  " + memory +
           "\n  <devices>\n" + devices + "  </devices>\n</domain>\n";
}

class Attach : public testing::Test {
protected:
    Attach() {
        program.add("media", {{"n1", "/srv/media"}, {"n2", "/mnt/media"}});
        web().state.name = "web";
        web().state.is_persistent = true;
        web().stored = domain_xml("");
    }

    FakeHost& host() { return program.libvirt["qemu:///system"]; }
    FakeDomain& web() { return host().domains["web"]; }
    void run_web(const std::string& memory, const std::string& devices = "") {
        web().state.is_running = true;
        web().live = domain_xml(memory, devices);
    }

    test::ProgramUnderTest program;
};

TEST_F(Attach, StoresTheShareAndSharedMemoryInADomainThatDoesNotRun) {
    ASSERT_EQ(program.run({"attach", "web", "media"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, ElementsAre("define web"));
    EXPECT_THAT(web().stored,
                AllOf(HasSubstr("<source dir='/srv/media'/>"),
                      HasSubstr("<access mode='shared'/>"),
                      HasSubstr("tag='media' dirid='media'")));
}

TEST_F(Attach, GivesTheShareToARunningGuestAndStoresIt) {
    run_web(shared_memory);

    ASSERT_EQ(program.run({"attach", "web", "media"}), ExitCode::ok) << program.err();

    ASSERT_THAT(host().calls, SizeIs(3));
    EXPECT_THAT(host().calls[0], AllOf(StartsWith("attach web live\n"), HasSubstr("/srv/media")));
    EXPECT_EQ(host().calls[1],
              "metadata web live urn:vfskit:domain:1 <shares><share tag='media' "
              "dirid='media'/></shares>");
    EXPECT_EQ(host().calls[2], "define web");
}

TEST_F(Attach, StoresOnlyWhenTheRunningGuestsMemoryIsNotShared) {
    run_web("");

    ASSERT_EQ(program.run({"attach", "web", "media"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, ElementsAre("define web"));
    EXPECT_THAT(program.err(), HasSubstr("Shut the guest down and start it again"));
}

TEST_F(Attach, RefusesLiveWhenTheMemoryIsNotShared) {
    run_web("");

    EXPECT_EQ(program.run({"attach", "web", "media", "--live"}), ExitCode::refused);

    EXPECT_THAT(host().calls, IsEmpty());
    EXPECT_THAT(program.err(), HasSubstr("The memory of the running 'web' is not shared"));
    EXPECT_THAT(program.err(), HasSubstr("Attach with --config"));
}

TEST_F(Attach, RefusesATagThatTheGuestHas) {
    run_web(shared_memory, media_device);

    EXPECT_EQ(program.run({"attach", "web", "media"}), ExitCode::refused);

    EXPECT_THAT(host().calls, IsEmpty());
    EXPECT_THAT(program.err(), HasSubstr("vfsctl detach web media"));
}

TEST_F(Attach, RefusesLiveForADomainThatDoesNotRun) {
    EXPECT_EQ(program.run({"attach", "web", "media", "--live"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("'web' does not run"));
}

TEST_F(Attach, RecordsTheOptionsOfADaemonThatVfskitStarts) {
    ASSERT_EQ(program.run({"attach", "web", "media", "--external", "--cache", "always", "--xattr"}),
              ExitCode::ok)
        << program.err();

    EXPECT_THAT(web().stored,
                AllOf(HasSubstr("<source socket='/run/vfskit/web/media.sock'/>"),
                      HasSubstr("dirid='media' cache='always' xattr='on'")));
    EXPECT_THAT(program.err(),
                AllOf(Not(HasSubstr("neither starts")), Not(HasSubstr("must be started with"))));
}

TEST_F(Attach, RefusesToStartADaemonForAnotherHostsLibvirt) {
    program.libvirt["qemu+ssh://n2/system"] = host();

    EXPECT_EQ(
        program.run(
            {"attach", "web", "media", "--external", "-c", "qemu+ssh://n2/system", "--node", "n2"}),
        ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("on this host"));
}

TEST_F(Attach, ChangesNothingWhenTriedOnly) {
    ASSERT_EQ(program.run({"attach", "web", "media", "--dry-run"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, IsEmpty());
    EXPECT_THAT(program.out(), HasSubstr("Would attach 'media' to the definition of 'web'"));
}

TEST_F(Attach, TakesTheShareFromBothAgain) {
    run_web(shared_memory, media_device);
    web().stored = domain_xml(shared_memory, media_device);
    host().on_detach = [this] { web().live = domain_xml(shared_memory); };

    ASSERT_EQ(program.run({"detach", "web", "media"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls[0], AllOf(StartsWith("detach web live\n"), HasSubstr("'media'")));
    EXPECT_THAT(web().stored, Not(HasSubstr("<filesystem")));
    EXPECT_EQ(program.out(),
              "Detached 'media' from the running guest and the definition of 'web'\n");
}

TEST_F(Attach, SaysWhenTheGuestDoesNotLetGo) {
    run_web(shared_memory, media_device);

    EXPECT_EQ(program.run({"detach", "web", "media", "--live"}), ExitCode::conflict);

    EXPECT_THAT(program.err(), HasSubstr("The guest does not let go of 'media'"));
}

TEST_F(Attach, DetachesByTheMappingOfAShareWithAnotherTag) {
    ASSERT_EQ(program.run({"attach", "web", "media", "--tag", "films"}), ExitCode::ok);

    ASSERT_EQ(program.run({"detach", "web", "media"}), ExitCode::ok) << program.err();

    EXPECT_THAT(web().stored, Not(HasSubstr("<filesystem")));
}

TEST_F(Attach, RefusesToDetachWhatIsNotThere) {
    EXPECT_EQ(program.run({"detach", "web", "media"}), ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("'web' has no share 'media'"));
}

} // namespace

} // namespace vfskit::vfsctl

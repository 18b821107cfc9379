// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::vfsctl {

namespace {

using test::FakeHost;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string domain_xml(const std::string& source) {
    return "<domain type='kvm'><name>web</name>"
           "<metadata><v:shares xmlns:v='urn:vfskit:domain:1'>"
           "<v:share tag='media' dirid='media'/></v:shares></metadata>"
           "<memory>1024</memory>"
           "<memoryBacking><access mode='shared'/></memoryBacking><devices>"
           "<filesystem type='mount'><driver type='virtiofs'/><source " +
           source + "/><target dir='media'/></filesystem></devices></domain>";
}

class Watch : public testing::Test {
protected:
    Watch() {
        program.add("media", {{"n1", "/srv/media"}, {"n2", "/mnt/media"}});
        // The fake's connection is lost after its events; the reconnect is where the test ends.
        program.on_pause = [this] { program.interrupted = true; };
    }

    FakeHost& host() { return program.libvirt["qemu:///system"]; }

    void add_web(const std::string& source) {
        auto& web = host().domains["web"];
        web.state.name = "web";
        web.state.is_running = true;
        web.state.is_persistent = true;
        web.live = domain_xml("dir='/srv/media'");
        web.stored = domain_xml(source);
    }

    test::ProgramUnderTest program;
};

TEST_F(Watch, StoresThePathOfThisNode) {
    add_web("dir='/mnt/media'");

    ASSERT_EQ(program.run({"watch", "--once"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().domains["web"].stored, HasSubstr("<source dir='/srv/media'/>"));
    EXPECT_EQ(program.out(),
              "web: Its stored definition had source dir /mnt/media for 'media', here it is "
              "/srv/media\n");
}

TEST_F(Watch, StoresNothingWhenAllIsRight) {
    add_web("dir='/srv/media'");

    ASSERT_EQ(program.run({"watch", "--once"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, IsEmpty());
    EXPECT_EQ(program.out(), "");
}

TEST_F(Watch, StoresNothingWhenTriedOnly) {
    add_web("dir='/mnt/media'");

    ASSERT_EQ(program.run({"watch", "--once", "--dry-run"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, IsEmpty());
    EXPECT_THAT(program.out(), HasSubstr("here it is /srv/media"));
}

TEST_F(Watch, MendsADomainThatArrives) {
    add_web("dir='/srv/media'");
    host().events = {{DomainEventKind::resumed_migrated, "web", "web"}};
    host().on_event = [this] { host().domains["web"].stored = domain_xml("dir='/mnt/media'"); };

    ASSERT_EQ(program.run({"watch"}), ExitCode::ok) << program.err();

    EXPECT_THAT(host().calls, ElementsAre("define web"));
}

TEST_F(Watch, NamesTheGuestsThatARestartOfLibvirtMadeUnmigratable) {
    add_web("dir='/srv/media'");
    program.on_pause = [] {};
    host().on_lost = [this] { program.interrupted = host().times_watched == 2; };

    ASSERT_EQ(program.run({"watch"}), ExitCode::ok) << program.err();

    EXPECT_THAT(program.err(), HasSubstr("will neither migrate nor save the guest"));
    EXPECT_THAT(program.err(), HasSubstr("vfsctl attach web media --live"));
}

TEST_F(Watch, SaysNothingOfASocketWhenLibvirtWasRestarted) {
    add_web("dir='/srv/media'");
    host().domains["web"].live = domain_xml("socket='/run/vfskit/web/media.sock'");
    program.on_pause = [] {};
    host().on_lost = [this] { program.interrupted = host().times_watched == 2; };

    ASSERT_EQ(program.run({"watch"}), ExitCode::ok) << program.err();

    EXPECT_EQ(program.err(), "");
}

TEST_F(Watch, GoesOnAfterADomainThatItCannotMend) {
    add_web("dir='/srv/media'");
    auto& other = host().domains["other"];
    other.state.name = "other";
    other.state.is_persistent = true;
    other.stored = "<domain><name>other</name></wrong>";
    host().domains["web"].stored = domain_xml("dir='/mnt/media'");

    ASSERT_EQ(program.run({"watch", "--once"}), ExitCode::ok);

    EXPECT_THAT(program.err(), HasSubstr("other: "));
    EXPECT_THAT(host().calls, ElementsAre("define web"));
}

} // namespace

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
// Every operation: what goes in, what libvirt gets, what is run.
#include "libvirt-hook/hook.h"
#include "tests/unit/check/world.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace vfskit::test {
namespace {

using libvirt_hook::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* metadata =
    "<metadata><vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>"
    "<vfskit:share tag='films' dirid='media'{}/></vfskit:shares></metadata>";

std::string filesystem(const std::string& source,
                       const std::string& tag = "films",
                       const std::string& binary = "<binary path='/usr/libexec/virtiofsd'/>") {
    return fmt::format("    <filesystem type='mount'>\n"
                       "      <driver type='virtiofs'/>\n"
                       "      {}\n"
                       "      <source {}/>\n"
                       "      <target dir='{}'/>\n"
                       "      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' "
                       "function='0x0'/>\n"
                       "    </filesystem>\n",
                       binary,
                       source,
                       tag);
}

std::string domain_with(const std::string& filesystems,
                        const std::string& record = fmt::format(fmt::runtime(metadata), "")) {
    return fmt::format("<domain type='kvm'>\n  <name>web</name>\n  {}\n  <devices>\n{}"
                       "  </devices>\n</domain>\n",
                       record,
                       filesystems);
}

class Hook : public testing::Test {
protected:
    Hook() {
        mapping::DirectoryMapping media;
        media.id = "media";
        media.paths = {{"a", "/srv/a & co"}, {"b", "/srv/b"}};
        media.live_migration_method = mapping::MigrationMethod::find_paths;
        snapshot.mappings.push_back(media);
        world.node = "b";
        world.read_store = [this]() -> Result<store::Snapshot> { return snapshot; };
        world.collect = [this](const node::TargetRequest& request) { return collect(request); };
        world.is_executable = [this](const std::string& path) { return programs.contains(path); };
        world.exists = [this](const std::string& path) { return path == existing; };
        world.run = [this](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
            commands.push_back(spec.shell_line());
            return base::ProcessOutput{vfsctl_status, "", vfsctl_says};
        };
    }

    // This node, good but for what is missing or old.
    node::NodeFacts collect(const node::TargetRequest& request) {
        auto facts = good_node(request.node, "");
        const auto good_daemon = facts.virtiofsds.front();
        facts.paths.clear();
        facts.virtiofsds.clear();
        facts.libvirt.reset(); // not looked at
        facts.qemus.clear();
        for (const auto& [dirid, path] : request.paths) {
            checked.push_back(path);
            facts.paths.push_back(good_path(path));
            facts.paths.back().dirid = dirid;
            facts.paths.back().exists = !missing.contains(path);
        }
        auto daemons = request.virtiofsds;
        if (request.wants_libvirt_default) {
            daemons.emplace_back("libvirt's default");
        }
        for (const auto& path : daemons) {
            checked.push_back(path);
            auto daemon = good_daemon;
            daemon.path = path;
            daemon.version = old.contains(path) ? node::Version{1, 10, 0} : *daemon.version;
            if (!missing.contains(path)) {
                facts.virtiofsds.push_back(daemon);
            }
        }
        return facts;
    }

    Outcome run(const std::string& operation, const std::string& xml) {
        const std::vector<std::string> words{"web", operation, "begin", "-"};
        return run_hook(libvirt_hook::parse_call(words), xml, world);
    }

    store::Snapshot snapshot;
    std::set<std::string> programs{"/usr/bin/vfskit-virtiofsd", "/usr/libexec/virtiofsd"};
    std::set<std::string> missing;
    std::set<std::string> old; // programs
    std::string existing;
    int vfsctl_status = 0;
    std::string vfsctl_says;
    libvirt_hook::World world;
    std::vector<std::string> checked;
    std::vector<std::string> commands;
};

TEST_F(Hook, MigrateGivesTheDirectoryAndDaemonOfThisNode) {
    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/a &amp; co'")));

    EXPECT_EQ(outcome.exit_status, 0) << outcome.complaint;
    EXPECT_EQ(outcome.out,
              domain_with(filesystem(
                  "dir='/srv/b'", "films", "<binary path='/usr/bin/vfskit-virtiofsd'/>")));
}

TEST_F(Hook, RestoreDoesWhatMigrateDoes) {
    const auto xml = domain_with(filesystem("dir='/srv/a &amp; co'"));

    EXPECT_EQ(run("restore", xml).out, run("migrate", xml).out);
}

TEST_F(Hook, MigratePrintsNothingWhenNothingChanges) {
    const auto outcome =
        run("migrate",
            domain_with(
                filesystem("dir='/srv/b'", "films", "<binary path='/usr/bin/vfskit-virtiofsd'/>")));

    EXPECT_EQ(outcome.exit_status, 0);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.complaint, IsEmpty());
}

TEST_F(Hook, MigrateTakesTheTagWhereTheDirectoryIsTheMappingsOnSomeNode) {
    const auto outcome =
        run("migrate", domain_with(filesystem("dir='/srv/a &amp; co'", "media"), ""));

    EXPECT_THAT(outcome.out, HasSubstr("<source dir='/srv/b'/>"));
}

TEST_F(Hook, MigrateLeavesADomainAloneThatOnlyHasATagLikeAMapping) {
    const auto outcome = run("migrate", domain_with(filesystem("dir='/other'", "media"), ""));

    EXPECT_EQ(outcome.exit_status, 0);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(checked, IsEmpty());
}

TEST_F(Hook, MigrateDropsABinaryThatThisNodeLacks) {
    programs.clear();

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/b'")));

    EXPECT_THAT(outcome.out, Not(HasSubstr("path=")));
}

TEST_F(Hook, RestoreKeepsTheBinaryOfAShareWithoutAMethod) {
    snapshot.mappings.front().live_migration_method.reset();

    const auto outcome = run("restore", domain_with(filesystem("dir='/srv/b'")));

    EXPECT_EQ(outcome.exit_status, 0) << outcome.complaint;
    EXPECT_THAT(outcome.out, IsEmpty());
}

TEST_F(Hook, MigrateRenamesASocketThatVfskitKeeps) {
    world.config.run_dir = "/run/here";

    const auto outcome =
        run("migrate", domain_with(filesystem("socket='/run/vfskit/web/films.sock'", "films", "")));

    EXPECT_THAT(outcome.out, HasSubstr("socket='/run/here/web/films.sock'"));
    EXPECT_THAT(checked, ElementsAre("/srv/b", "/usr/libexec/virtiofsd"));
}

TEST_F(Hook, MigrateLeavesTheSocketOfSomebodyElseAlone) {
    const auto outcome =
        run("migrate", domain_with(filesystem("socket='/run/other.sock'", "films", "")));

    EXPECT_EQ(outcome.exit_status, 0);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(checked, IsEmpty());
}

TEST_F(Hook, MigrateRewritesA9pDirectoryAndAsksNoDaemon) {
    auto xml = domain_with(filesystem("dir='/srv/a &amp; co'", "films", ""));
    xml.replace(xml.find("virtiofs'"), 8, "path");

    const auto outcome = run("migrate", xml);

    EXPECT_THAT(outcome.out, HasSubstr("<source dir='/srv/b'/>"));
    EXPECT_THAT(checked, ElementsAre("/srv/b"));
}

TEST_F(Hook, MigrateRefusesAMappingThatIsDeclaredNotToBeMigrated) {
    snapshot.mappings.front().live_migration_method.reset();

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/b'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("(VFS-C014)"));
}

TEST_F(Hook, MigrateRefusesA9pDirectoryThatIsMissing) {
    missing.insert("/srv/b");
    auto xml = domain_with(filesystem("dir='/srv/a &amp; co'", "films", ""));
    xml.replace(xml.find("virtiofs'"), 8, "path");

    const auto outcome = run("migrate", xml);

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("9p export 'films': There is no '/srv/b' on 'b'"));
}

TEST_F(Hook, MigrateTellsEveryBlockerInALineOfItsOwn) {
    missing.insert("/srv/b");
    old.insert("/usr/libexec/virtiofsd");

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/b'")));

    const std::string& lines = outcome.complaint;
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1) << lines;
    EXPECT_THAT(lines, HasSubstr("There is no '/srv/b' on 'b'"));
    EXPECT_THAT(lines, HasSubstr("\nvfskit: domain 'web': share 'films': It would be served by"));
}

TEST_F(Hook, MigrateRefusesInOneLineWhenTheDirectoryIsMissing) {
    missing.insert("/srv/b");

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/a &amp; co'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(outcome.complaint,
              "vfskit: domain 'web': share 'films': There is no '/srv/b' on 'b'. Create or mount "
              "the directory on the target (VFS-C020)");
}

TEST_F(Hook, MigrateRefusesADaemonThatCouldNotMigrateBack) {
    old.insert("/usr/libexec/virtiofsd"); // which the wrapper becomes

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/b'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("cannot migrate"));
}

TEST_F(Hook, MigrateRefusesAMappingWithoutAPathHere) {
    world.node = "c";

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/a &amp; co'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("no path on node 'c'"));
}

TEST_F(Hook, MigrateRefusesAMappingThatIsGone) {
    snapshot.mappings.clear();

    const auto outcome = run("migrate", domain_with(filesystem("dir='/srv/a &amp; co'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("mapping 'media'"));
}

TEST_F(Hook, MigrateWithoutAStoreRefusesOurDomainsOnly) {
    world.read_store = []() -> Result<store::Snapshot> {
        return Error{EBADMSG, "The store\nis broken"};
    };

    const auto ours = run("migrate", domain_with(filesystem("dir='/srv/b'")));
    const auto other = run("migrate", domain_with(filesystem("dir='/srv/b'"), ""));

    EXPECT_EQ(ours.exit_status, 1);
    EXPECT_THAT(ours.complaint, HasSubstr("The store is broken"));
    EXPECT_EQ(other.exit_status, 0);
    EXPECT_THAT(other.out, IsEmpty());
}

TEST_F(Hook, MigrateReadsNoStoreForADomainWithoutFilesystems) {
    world.read_store = []() -> Result<store::Snapshot> {
        ADD_FAILURE() << "the store was read";
        return store::Snapshot{};
    };

    EXPECT_EQ(run("migrate", domain_with("", "")).exit_status, 0);
}

TEST_F(Hook, PrepareStartsTheDaemonsThatVfskitKeeps) {
    const auto outcome =
        run("prepare",
            domain_with(filesystem("socket='/run/vfskit/web/films.sock'", "films", "") +
                            filesystem("dir='/srv/b'", "other") +
                            filesystem("socket='/run/else.sock'", "third", ""),
                        fmt::format(fmt::runtime(metadata), " cache='always' xattr='on'")));

    EXPECT_EQ(outcome.exit_status, 0) << outcome.complaint;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(commands,
                ElementsAre("/usr/bin/vfsctl daemon start media --vm web --tag films --binary "
                            "/usr/libexec/virtiofsd --replace-waiting --cache always --xattr"));
}

TEST_F(Hook, PrepareTellsVfsctlWhereItLooks) {
    world.config.store = "yaml:/m.yaml";
    world.config.node = "b";
    world.config.socket_group = "qemu";

    run("prepare", domain_with(filesystem("socket='/run/vfskit/web/films.sock'", "films", "")));

    ASSERT_THAT(commands, testing::SizeIs(1));
    EXPECT_THAT(commands.front(), HasSubstr("--socket-group qemu"));
    EXPECT_THAT(commands.front(), HasSubstr("--store yaml:/m.yaml --node b"));
}

TEST_F(Hook, PrepareFailsWithWhatVfsctlSaid) {
    vfsctl_status = 1;
    vfsctl_says = "vfsctl: The socket is in use. Stop it.\n";

    const auto outcome =
        run("prepare", domain_with(filesystem("socket='/run/vfskit/web/films.sock'", "films", "")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("vfskit: domain 'web': The socket is in use"));
}

TEST_F(Hook, PrepareRefusesAnOptionThatItDoesNotKnow) {
    const auto outcome =
        run("prepare",
            domain_with(filesystem("socket='/run/vfskit/web/films.sock'", "films", ""),
                        fmt::format(fmt::runtime(metadata), " binary='/tmp/evil'")));

    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(outcome.complaint, HasSubstr("binary='/tmp/evil'"));
    EXPECT_THAT(commands, IsEmpty());
}

TEST_F(Hook, ReleaseStopsTheDaemonsOfTheDomain) {
    existing = "/run/vfskit/web";

    EXPECT_EQ(run("release", domain_with("", "")).exit_status, 0);

    EXPECT_THAT(commands, ElementsAre("/usr/bin/vfsctl daemon stop web"));
}

TEST_F(Hook, ReleaseRunsNothingForADomainThatNeverHadADaemon) {
    EXPECT_EQ(run("release", domain_with("", "")).exit_status, 0);

    EXPECT_THAT(commands, IsEmpty());
}

TEST_F(Hook, ReconnectNeverFailsTheGuest) {
    existing = "/run/vfskit/web";
    vfsctl_status = 1;

    const auto outcome = run("reconnect", "this is no XML");

    EXPECT_EQ(outcome.exit_status, 0);
    EXPECT_THAT(commands,
                ElementsAre("/usr/bin/vfsctl daemon stop web --stale --grace 4294967295"));
}

TEST_F(Hook, OtherOperationsAreSilent) {
    const auto xml = domain_with(filesystem("dir='/srv/a &amp; co'"));

    for (const auto* operation : {"start", "started", "stopped", "attach", "from-the-future", ""}) {
        const auto outcome = run(operation, xml);
        EXPECT_EQ(outcome.exit_status, 0) << operation;
        EXPECT_THAT(outcome.out + outcome.complaint, IsEmpty()) << operation;
    }
    EXPECT_THAT(commands, IsEmpty());
}

} // namespace
} // namespace vfskit::test

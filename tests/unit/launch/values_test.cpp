// SPDX-License-Identifier: Apache-2.0
// Names, records, units: what needs no process.
#include "core/launch/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::test {
namespace {

using testing::Contains;
using testing::HasSubstr;

launch::DaemonRecord full_record() {
    launch::DaemonRecord record;
    record.vm = "web";
    record.tag = "media";
    record.mapping = "films";
    record.shared_dir = "/srv/films";
    record.keeper = launch::Keeper::systemd;
    record.socket = "/run/vfskit/web/media.sock";
    record.control = "/run/vfskit/web/media.control";
    record.unit = "vfskit-virtiofsd-web-media.service";
    record.argv = {"/usr/libexec/virtiofsd", "--shared-dir=/srv/films"};
    record.process = {4711, 123456};
    record.started = "2026-11-21T06:45:00Z";
    record.limits.read_bytes_per_second = 5U << 20U;
    record.limits.cpu_percent = 50;
    record.limits.memory_bytes = std::uint64_t{1} << 30U;
    record.restart = launch::Restart::on_failure;
    return record;
}

const launch::UnitValue* find(const launch::TransientUnit& unit, const std::string& name) {
    for (const auto& property : unit.properties) {
        if (property.name == name) {
            return &property.value;
        }
    }
    return nullptr;
}

TEST(Layout, NamesFilesAfterVmAndTag) {
    const auto paths = launch::Layout{}.paths("web", "a/b c");

    ASSERT_TRUE(paths);
    EXPECT_EQ(paths->socket, "/run/vfskit/web/a%2Fb%20c.sock");
    EXPECT_EQ(paths->control, "/run/vfskit/web/a%2Fb%20c.control");
    EXPECT_EQ(paths->unit, "vfskit-virtiofsd-web-a\\x2fb\\x20c.service");
}

TEST(Layout, UnitsOfDifferentSharesNeverShareAName) {
    EXPECT_NE(launch::Layout{}.paths("a-b", "c")->unit, launch::Layout{}.paths("a", "b-c")->unit);
}

TEST(Layout, RefusesAVmThatLeavesTheDirectory) {
    EXPECT_EQ(launch::Layout{}.paths("../etc", "t").error().code(), EINVAL);
    EXPECT_EQ(launch::Layout{}.paths("..", "t").error().code(), EINVAL);
    EXPECT_EQ(launch::Layout{}.paths("web", "").error().code(), EINVAL);
}

TEST(Layout, RefusesASocketThatUnixHasNoRoomFor) {
    const auto paths = launch::Layout{}.paths(std::string(100, 'v'), "media");

    ASSERT_FALSE(paths);
    EXPECT_EQ(paths.error().code(), ENAMETOOLONG);
    EXPECT_THAT(paths.error().describe(), HasSubstr("107"));
}

TEST(Record, SurvivesItsJson) {
    EXPECT_EQ(*launch::parse_record(launch::to_json(full_record())), full_record());
}

TEST(Record, OfAnotherKindIsRefused) {
    EXPECT_EQ(launch::parse_record(R"({"kind":"mapping","version":1})").error().code(), EBADMSG);
    EXPECT_EQ(launch::parse_record(R"({"kind":"daemon-record","version":1})").error().code(),
              EBADMSG);
    EXPECT_EQ(launch::parse_record("[]").error().code(), EBADMSG);
}

TEST(Limits, AreSizesAboveZero) {
    EXPECT_EQ(*launch::parse_limit("64M"), 64U << 20U);
    EXPECT_EQ(*launch::parse_limit("8388608T"), std::uint64_t{1} << 63U);
    EXPECT_EQ(launch::parse_limit("8388609T").error().code(), ERANGE);
    EXPECT_EQ(launch::parse_limit("0").error().code(), EINVAL);
    EXPECT_EQ(launch::parse_limit("M").error().code(), EINVAL);
}

TEST(Limits, OfIoNeedABlockDevice) {
    const auto target = launch::io_limit_target("/proc");

    ASSERT_FALSE(target);
    EXPECT_EQ(target.error().code(), ENOTSUP);
    EXPECT_THAT(target.error().describe(), HasSubstr("--io-device"));
}

TEST(Unit, LimitsWhatTheRecordSays) {
    const auto unit = launch::make_unit(
        full_record(), *launch::Layout{}.paths("web", "media"), {.io_target = "/dev/vda"});

    EXPECT_EQ(*find(unit, "IOReadBandwidthMax"),
              (launch::UnitValue{launch::DeviceLimit{"/dev/vda", 5U << 20U}}));
    EXPECT_EQ(find(unit, "IOWriteBandwidthMax"), nullptr);
    EXPECT_EQ(*find(unit, "CPUQuotaPerSecUSec"), launch::UnitValue{std::uint64_t{500000}});
    EXPECT_EQ(*find(unit, "MemoryMax"), launch::UnitValue{std::uint64_t{1} << 30U});
    EXPECT_EQ(*find(unit, "Slice"), launch::UnitValue{std::string{"vfskit.slice"}});
    EXPECT_EQ(*find(unit, "Restart"), launch::UnitValue{std::string{"on-failure"}});
}

TEST(Unit, MayWriteToTheShareAndTheSocketsOnly) {
    const auto paths = *launch::Layout{}.paths("web", "media");

    const auto writable = launch::make_unit(full_record(), paths, {});
    const auto readonly = launch::make_unit(full_record(), paths, {.readonly = true});

    EXPECT_EQ(*find(writable, "ProtectSystem"), launch::UnitValue{std::string{"strict"}});
    EXPECT_EQ(*find(writable, "ReadWritePaths"),
              (launch::UnitValue{std::vector<std::string>{"/run/vfskit/web", "/srv/films"}}));
    EXPECT_EQ(*find(readonly, "ReadWritePaths"),
              launch::UnitValue{std::vector<std::string>{"/run/vfskit/web"}});
}

TEST(Unit, HasThePlaceWhereDaemonsPassDescriptors) {
    const auto paths = *launch::Layout{}.paths("web", "media");
    auto passing = full_record();
    passing.argv.emplace_back("--migration-mode=fd-passing");

    const auto with = launch::make_unit(passing, paths, {});
    const auto without = launch::make_unit(full_record(), paths, {});

    ASSERT_NE(find(with, "RuntimeDirectory"), nullptr);
    EXPECT_EQ(*find(with, "RuntimeDirectory"),
              launch::UnitValue{std::vector<std::string>{"vfskit-migration"}});
    EXPECT_EQ(find(without, "RuntimeDirectory"), nullptr);
}

TEST(Unit, RemovesItsFilesAtTheEndUnlessItStartsAgain) {
    const auto paths = *launch::Layout{}.paths("web", "media");

    const auto once = launch::make_unit(full_record(), paths, {});
    const auto again = launch::make_unit(full_record(), paths, {.keeps_record_at_end = true});

    ASSERT_NE(find(once, "ExecStopPost"), nullptr);
    EXPECT_THAT(std::get<launch::ExecCommand>(*find(once, "ExecStopPost")).spec.args,
                Contains(paths.record));
    EXPECT_EQ(find(again, "ExecStopPost"), nullptr);
}

TEST(Unit, KeepsACapabilityThatModcapsAdds) {
    const auto paths = *launch::Layout{}.paths("web", "media");
    constexpr std::uint64_t sys_ptrace = std::uint64_t{1} << 19U;

    const auto plain = launch::make_unit(full_record(), paths, {});
    const auto more =
        launch::make_unit(full_record(), paths, {.added_capabilities = {"sys_ptrace"}});

    EXPECT_EQ(std::get<std::uint64_t>(*find(plain, "CapabilityBoundingSet")) & sys_ptrace, 0U);
    EXPECT_NE(std::get<std::uint64_t>(*find(more, "CapabilityBoundingSet")) & sys_ptrace, 0U);
}

} // namespace
} // namespace vfskit::test

// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/credentials.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

namespace vfskit::passthrough {
namespace {

/// Keeps the state a thread would have, and fails where it is told to.
class FakeCredentialCalls final : public CredentialCalls {
public:
    int set_groups(std::span<const gid_t> list) override {
        ++count;
        if (fail_groups != 0) {
            return fail_groups;
        }
        groups.assign(list.begin(), list.end());
        return 0;
    }
    int set_effective_gid(gid_t value) override {
        ++count;
        if (fail_gid != 0) {
            return fail_gid;
        }
        gid = value;
        return 0;
    }
    int set_effective_uid(uid_t value) override {
        ++count;
        if (fail_uid != 0 && value != 0) {
            return fail_uid;
        }
        if (fail_uid_back != 0 && value == 0) {
            return fail_uid_back;
        }
        uid = value;
        return 0;
    }
    int set_capabilities(std::uint64_t value, std::uint64_t /*permitted*/) override {
        ++count;
        effective = value;
        return 0;
    }

    std::vector<gid_t> groups;
    gid_t gid = 0;
    uid_t uid = 0;
    std::uint64_t effective = UINT64_MAX;
    int fail_groups = 0;
    int fail_gid = 0;
    int fail_uid = 0;
    int fail_uid_back = 0;
    int count = 0;
};

Identity root() {
    return {0, 0, {}, UINT64_MAX, UINT64_MAX};
}

constexpr Caller alice{HostUid{1000}, HostGid{1001}, {}, false};

TEST(Credentials, SwitchesAndRestores) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    {
        const auto scope = credentials.act_as(alice);
        EXPECT_EQ(scope.error(), 0);
        EXPECT_EQ(calls.uid, 1000U);
        EXPECT_EQ(calls.gid, 1001U);
    }
    EXPECT_EQ(calls.uid, 0U);
    EXPECT_EQ(calls.gid, 0U);
    EXPECT_EQ(calls.count, 4);
}

TEST(Credentials, MakesNoSystemCallForRoot) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    { const auto scope = credentials.act_as({}); }
    EXPECT_EQ(calls.count, 0);
}

TEST(Credentials, TakesGroupsOffAgainAlsoWhenTheCallerIsRoot) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    const std::vector<gid_t> groups{4242};
    {
        const auto scope = credentials.act_as({HostUid{0}, HostGid{0}, groups, false});
        EXPECT_EQ(calls.groups, groups);
    }
    EXPECT_TRUE(calls.groups.empty());
}

TEST(Credentials, RollsBackAHalfDoneSwitch) {
    FakeCredentialCalls calls;
    calls.fail_uid = EINVAL;
    const Credentials credentials{root(), calls};
    const std::vector<gid_t> groups{4242};
    const auto scope = credentials.act_as({HostUid{1000}, HostGid{1001}, groups, false});
    EXPECT_EQ(scope.error(), EPERM);
    EXPECT_EQ(calls.gid, 0U);
    EXPECT_TRUE(calls.groups.empty());
    EXPECT_EQ(credentials.ensure_own_identity(), 0);
}

TEST(Credentials, RefusesRequestsUntilTheThreadIsItselfAgain) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    calls.fail_uid_back = EAGAIN;
    {
        const auto scope = credentials.act_as(alice);
        ASSERT_EQ(scope.error(), 0);
    }
    EXPECT_EQ(credentials.ensure_own_identity(), EIO);
    EXPECT_EQ(credentials.act_as({}).error(), EIO);
    calls.fail_uid_back = 0;
    EXPECT_EQ(credentials.ensure_own_identity(), 0);
    EXPECT_EQ(calls.gid, 0U);
}

TEST(Credentials, KeepsDacOverrideWhereTheGuestCannotSendGroups) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    auto caller = alice;
    caller.keeps_dac_override = true;
    {
        const auto scope = credentials.act_as(caller);
        EXPECT_EQ(calls.effective, std::uint64_t{1} << CAP_DAC_OVERRIDE);
    }
    EXPECT_EQ(calls.uid, 0U);
}

TEST(Credentials, DropsFsetidLazily) {
    FakeCredentialCalls calls;
    const Credentials credentials{root(), calls};
    EXPECT_EQ(credentials.set_kills_privileges(false), 0);
    EXPECT_EQ(calls.count, 0);
    EXPECT_EQ(credentials.set_kills_privileges(true), 0);
    EXPECT_EQ(credentials.set_kills_privileges(true), 0);
    EXPECT_EQ(calls.count, 1);
    EXPECT_EQ(calls.effective, UINT64_MAX & ~(std::uint64_t{1} << CAP_FSETID));
    { const auto scope = credentials.act_as(alice); }
    EXPECT_EQ(calls.effective, UINT64_MAX);
    EXPECT_EQ(credentials.set_kills_privileges(false), 0);
}

TEST(Credentials, ChangesOnlyTheCallingThread) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    const Credentials credentials{Identity::of_this_thread()};
    uid_t inside = 0;
    gid_t inside_gid = 0;
    std::thread{[&] {
        const auto scope = credentials.act_as({HostUid{1000}, HostGid{1001}, {}, false});
        ASSERT_EQ(scope.error(), 0);
        inside = ::geteuid();
        inside_gid = ::getegid();
    }}.join();
    EXPECT_EQ(inside, 1000U);
    EXPECT_EQ(inside_gid, 1001U);
    EXPECT_EQ(::geteuid(), 0U);
}

TEST(Credentials, GivesAThreadItsOwnUmask) {
    mode_t seen = 0;
    const mode_t before = ::umask(022);
    std::thread{[&] {
        EXPECT_EQ(set_thread_umask(077), 0);
        seen = ::umask(077);
    }}.join();
    EXPECT_EQ(seen, mode_t{077});
    EXPECT_EQ(::umask(before), mode_t{022});
}

} // namespace
} // namespace vfskit::passthrough

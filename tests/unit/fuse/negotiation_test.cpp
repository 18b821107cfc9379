// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/negotiation.h"

#include <gtest/gtest.h>

namespace vfskit::fuse {
namespace {

using namespace wire;

// What upstream's daemon answers a guest that can do everything, observed with 1.14.0.
constexpr std::uint64_t default_flags = 0x1044844f829;

InitIn guest_with(std::uint64_t flags, std::uint32_t minor = 45) {
    InitIn in{};
    in.major = 7;
    in.minor = minor;
    in.max_readahead = 4096;
    in.flags = static_cast<std::uint32_t>(flags);
    in.flags2 = static_cast<std::uint32_t>(flags >> 32);
    return in;
}

std::uint64_t flags_for(const Options& options, std::uint64_t capable = ~0ULL) {
    const auto negotiation = negotiate(options, guest_with(capable));
    EXPECT_TRUE(negotiation);
    const auto& reply = negotiation->reply;
    EXPECT_EQ(negotiation->state.flags, reply.flags | std::uint64_t{reply.flags2} << 32);
    return negotiation->state.flags;
}

Options options_with(auto member, auto value) {
    Options options;
    options.*member = value;
    return options;
}

TEST(Negotiation, DefaultFlagsAreUpstreams) {
    EXPECT_EQ(flags_for({}), default_flags);
}

TEST(Negotiation, NoReaddirplusWithoutCacheOrWish) {
    const auto expected = default_flags & ~(FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO);
    EXPECT_EQ(flags_for(options_with(&Options::cache, CachePolicy::never)), expected);
    EXPECT_EQ(flags_for(options_with(&Options::readdirplus, false)), expected);
}

TEST(Negotiation, EachOptionAddsItsFlags) {
    EXPECT_EQ(flags_for(options_with(&Options::writeback, true)),
              default_flags | FUSE_WRITEBACK_CACHE);
    EXPECT_EQ(flags_for(options_with(&Options::posix_acl, FeatureMode::always)),
              default_flags | FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_SETXATTR_EXT);
    EXPECT_EQ(flags_for(options_with(&Options::security_label, FeatureMode::always)),
              default_flags | FUSE_SECURITY_CTX);
    EXPECT_EQ(flags_for(options_with(&Options::killpriv_v2, true)),
              default_flags | FUSE_HANDLE_KILLPRIV_V2);
    EXPECT_EQ(flags_for(options_with(&Options::allow_mmap, true)),
              default_flags | FUSE_DIRECT_IO_ALLOW_MMAP);
    EXPECT_EQ(flags_for(options_with(&Options::posix_lock, true)),
              default_flags | FUSE_POSIX_LOCKS);
    EXPECT_EQ(flags_for(options_with(&Options::flock, true)), default_flags | FUSE_FLOCK_LOCKS);
}

TEST(Negotiation, NothingIsUsedThatTheGuestCannot) {
    EXPECT_EQ(flags_for({}, 0), 0U);
    EXPECT_EQ(flags_for({}, FUSE_ASYNC_READ | FUSE_DONT_MASK), FUSE_ASYNC_READ);
}

TEST(Negotiation, UpperFlagsCountOnlyWithInitExt) {
    EXPECT_EQ(flags_for({}, FUSE_CREATE_SUPP_GROUP), 0U);
    EXPECT_EQ(flags_for({}, FUSE_CREATE_SUPP_GROUP | FUSE_INIT_EXT),
              FUSE_CREATE_SUPP_GROUP | FUSE_INIT_EXT);
}

TEST(Negotiation, AlwaysFailsForAGuestThatLacksAnyOfTheFlags) {
    const auto acl = options_with(&Options::posix_acl, FeatureMode::always);
    EXPECT_EQ(negotiate(acl, guest_with(~FUSE_SETXATTR_EXT)).error(), Errno{EPROTO});
    EXPECT_EQ(negotiate(acl, guest_with(~FUSE_DONT_MASK)).error(), Errno{EPROTO});
    EXPECT_EQ(negotiate(acl, guest_with(~FUSE_POSIX_ACL)).error(), Errno{EPROTO});
    const auto label = options_with(&Options::security_label, FeatureMode::always);
    EXPECT_EQ(negotiate(label, guest_with(~FUSE_SECURITY_CTX)).error(), Errno{EPROTO});
}

TEST(Negotiation, AutomaticServesSuchAGuestAndWarns) {
    Options options;
    options.posix_acl = FeatureMode::automatic;
    options.security_label = FeatureMode::automatic;
    const auto negotiation =
        negotiate(options, guest_with(~(FUSE_SETXATTR_EXT | FUSE_SECURITY_CTX)));
    ASSERT_TRUE(negotiation);
    EXPECT_EQ(negotiation->state.flags, default_flags);
    EXPECT_EQ(negotiation->warnings.size(), 2U);
}

TEST(Negotiation, LimitsAreTheOptions) {
    const auto reply = negotiate({}, guest_with(~0ULL))->reply;
    EXPECT_EQ(reply.major, 7U);
    EXPECT_EQ(reply.max_write, 1U << 20);
    EXPECT_EQ(reply.max_pages, 256U);
    EXPECT_EQ(reply.max_readahead, 4096U);
    EXPECT_EQ(reply.max_background, 65535U);
    EXPECT_EQ(reply.congestion_threshold, 49149U);
    EXPECT_EQ(reply.time_gran, 1U);
    EXPECT_EQ(reply.map_alignment, 0U);
}

TEST(Negotiation, OldGuestsAreRefused) {
    EXPECT_EQ(negotiate({}, guest_with(~0ULL, 26)).error(), Errno{EPROTO});
    EXPECT_TRUE(negotiate({}, guest_with(~0ULL, 27)));
    auto ancient = guest_with(~0ULL);
    ancient.major = 6;
    EXPECT_EQ(negotiate({}, ancient).error(), Errno{EPROTO});
}

TEST(Negotiation, NewerMajorIsAskedToComeBack) {
    auto future = guest_with(~0ULL);
    future.major = 8;
    const auto negotiation = negotiate({}, future);
    ASSERT_TRUE(negotiation);
    EXPECT_EQ(negotiation->reply.major, 7U);
    EXPECT_FALSE(negotiation->state.is_initialized());
}

TEST(CacheRules, AreUpstreams) {
    const auto automatic = make_cache_rules(CachePolicy::automatic);
    EXPECT_EQ(automatic.entry_timeout.seconds, 1U);
    EXPECT_EQ(automatic.open_flags | automatic.opendir_flags, 0U);
    const auto always = make_cache_rules(CachePolicy::always);
    EXPECT_EQ(always.attr_timeout.seconds, 86400U);
    EXPECT_EQ(always.open_flags, FOPEN_KEEP_CACHE);
    EXPECT_EQ(always.opendir_flags, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
    const auto metadata = make_cache_rules(CachePolicy::metadata);
    EXPECT_EQ(metadata.entry_timeout.seconds, 86400U);
    EXPECT_EQ(metadata.open_flags, FOPEN_DIRECT_IO);
    EXPECT_EQ(metadata.opendir_flags, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
    const auto never = make_cache_rules(CachePolicy::never);
    EXPECT_EQ(never.entry_timeout.seconds + never.attr_timeout.seconds, 0U);
    EXPECT_EQ(never.open_flags, FOPEN_DIRECT_IO);
    EXPECT_EQ(never.opendir_flags, 0U);
}

} // namespace
} // namespace vfskit::fuse

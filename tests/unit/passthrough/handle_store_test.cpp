// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/handle_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace vfskit::passthrough {
namespace {

UniqueFd null_fd() {
    return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

TEST(HandleStore, FindsWhatWasAddedUntilItIsRemoved) {
    int closed = 0;
    HandleStore store{[&closed] { ++closed; }};
    const auto id = store.add({NodeId{7}, null_fd(), O_RDWR, S_IFREG, false});
    EXPECT_EQ(store.find(id)->node, NodeId{7});
    EXPECT_TRUE(store.remove(id));
    EXPECT_FALSE(store.find(id));
    EXPECT_FALSE(store.remove(id));
    EXPECT_EQ(closed, 1);
}

TEST(HandleStore, ClosesWhenTheLastUserIsDone) {
    int closed = 0;
    HandleStore store{[&closed] { ++closed; }};
    const auto id = store.add({NodeId{7}, null_fd(), 0, S_IFREG, false});
    {
        const auto user = store.find(id);
        EXPECT_TRUE(store.remove(id));
        EXPECT_GE(::fcntl(user->fd.get(), F_GETFD), 0);
        EXPECT_EQ(closed, 0);
    }
    EXPECT_EQ(closed, 1);
}

TEST(HandleStore, NeverUsesAnIdAgain) {
    HandleStore store{[] {}};
    const auto first = store.add({NodeId{7}, null_fd(), 0, S_IFREG, false});
    store.remove(first);
    EXPECT_NE(store.add({NodeId{7}, null_fd(), 0, S_IFREG, false}), first);
}

TEST(HandleStore, RestoresIdsAndGoesOnBehindThem) {
    HandleStore store{[] {}};
    EXPECT_TRUE(store.restore(HandleId{41}, {NodeId{7}, null_fd(), 0, S_IFREG, false}));
    EXPECT_FALSE(store.restore(HandleId{41}, {NodeId{7}, null_fd(), 0, S_IFREG, false}));
    store.raise_next_id(HandleId{42});
    EXPECT_EQ(store.add({NodeId{7}, null_fd(), 0, S_IFREG, false}), HandleId{42});
    EXPECT_EQ(store.size(), 2U);
}

TEST(HostOpenFlags, NeverPassAppend) {
    EXPECT_EQ(host_open_flags(O_WRONLY | O_APPEND | O_CREAT | O_EXCL, {}), O_WRONLY);
}

TEST(HostOpenFlags, PassDirectIoAndNoatimeOnlyWhereAllowed) {
    EXPECT_EQ(host_open_flags(O_RDWR | O_DIRECT | O_NOATIME, {}), O_RDWR);
    EXPECT_EQ(host_open_flags(O_RDWR | O_DIRECT | O_NOATIME, {true, true, false}),
              O_RDWR | O_DIRECT | O_NOATIME);
}

TEST(HostOpenFlags, MakeWriteOnlyReadableForAWritebackCache) {
    EXPECT_EQ(host_open_flags(O_WRONLY | O_TRUNC, {false, false, true}), O_RDWR | O_TRUNC);
}

} // namespace
} // namespace vfskit::passthrough

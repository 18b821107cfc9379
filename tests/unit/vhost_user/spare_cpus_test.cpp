// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/spare_cpus.h"

#include <gtest/gtest.h>

namespace vfskit::vhost_user {
namespace {

TEST(SpareCpus, LetAThreadWaitAwakeThatHasACpuBesideItsGuests) {
    SpareCpus cpus{2};
    cpus.add_awake();
    EXPECT_TRUE(cpus.may_wait_awake());
}

TEST(SpareCpus, LetNobodyWaitAwakeWhereThereIsOne) {
    SpareCpus cpus{1};
    cpus.add_awake();
    EXPECT_FALSE(cpus.may_wait_awake());
}

TEST(SpareCpus, AreTakenByTheThreadsThatWork) {
    SpareCpus cpus{4};
    cpus.add_awake();
    cpus.add_awake();
    cpus.add_awake();
    EXPECT_FALSE(cpus.may_wait_awake());
    cpus.remove_awake();
    EXPECT_TRUE(cpus.may_wait_awake());
}

} // namespace
} // namespace vfskit::vhost_user

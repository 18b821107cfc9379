// SPDX-License-Identifier: Apache-2.0
// Needs: VFSKIT_ETCD, the hosts of a running etcd ("127.0.0.1:2379"). contract.py starts one.
#include "tests/support/store_contract.h"
#include "tests/support/temp_dir.h"

#include <cstdlib>

namespace vfskit::test {
namespace {

/// A prefix of its own for each test.
class EtcdPlace {
public:
    [[nodiscard]] std::unique_ptr<store::MappingStore> open() const {
        const auto* hosts = std::getenv("VFSKIT_ETCD");
        const auto* test = testing::UnitTest::GetInstance()->current_test_info()->name();
        return *store::open_store(std::string{"etcd://"} + (hosts == nullptr ? "unset" : hosts) +
                                  "/" + test + "?cache=" + dir_.path("cache"));
    }

private:
    TempDir dir_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, StoreContract, EtcdPlace);

} // namespace
} // namespace vfskit::test

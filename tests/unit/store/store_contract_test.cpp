// SPDX-License-Identifier: Apache-2.0
// The stores in files keep the contract; etcd's does in tests/system/etcd.
#include "tests/support/store_contract.h"
#include "tests/support/temp_dir.h"

#include <filesystem>

namespace vfskit::test {
namespace {

class YamlPlace {
public:
    [[nodiscard]] std::unique_ptr<store::MappingStore> open() const {
        return *store::open_store("yaml:" + dir_.path("mappings.yaml"));
    }

private:
    TempDir dir_;
};

class PvePlace {
public:
    PvePlace() { std::filesystem::create_directories(dir_.path("mapping")); }
    [[nodiscard]] std::unique_ptr<store::MappingStore> open() const {
        return *store::open_store("pve:" + dir_.root());
    }

private:
    TempDir dir_;
};

using Places = testing::Types<YamlPlace, PvePlace>;
INSTANTIATE_TYPED_TEST_SUITE_P(Files, StoreContract, Places);

} // namespace
} // namespace vfskit::test

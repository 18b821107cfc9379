// SPDX-License-Identifier: Apache-2.0
// What every MappingStore promises (core/store/store.h), as tests for any engine. A program
// instantiates them with a Place: default-constructed it is an empty store of its own, and open()
// gives as many objects on it as are wanted.
//
//     INSTANTIATE_TYPED_TEST_SUITE_P(Yaml, StoreContract, YamlPlace);
#pragma once

#include "core/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace vfskit::test {

inline mapping::DirectoryMapping contract_mapping(std::string id, std::string path) {
    mapping::DirectoryMapping mapping;
    mapping.id = std::move(id);
    mapping.paths = {{"n1", std::move(path)}};
    return mapping;
}

/// Every property that a mapping has.
inline mapping::DirectoryMapping full_contract_mapping() {
    auto mapping = contract_mapping("media", "/srv/media");
    mapping.paths.push_back({"n2", "/mnt/my media"});
    mapping.description = "Films \"and\" more: 100 %";
    mapping.live_migration_method = mapping::MigrationMethod::file_handles;
    mapping.path_relation = mapping::PathRelation::same_directory;
    return mapping;
}

template <class Place>
class StoreContract : public testing::Test {
protected:
    using Edits = std::vector<store::Edit>;

    static store::Snapshot read(store::MappingStore& store) {
        auto snapshot = store.snapshot();
        EXPECT_TRUE(snapshot) << snapshot.error().describe();
        return snapshot ? *std::move(snapshot) : store::Snapshot{};
    }
    static std::vector<std::string> ids(store::MappingStore& store) {
        std::vector<std::string> ids;
        for (const auto& mapping : read(store).mappings) {
            ids.push_back(mapping.id);
        }
        return ids;
    }
    /// Commits to what is there now.
    static store::Revision write(store::MappingStore& store, const Edits& edits) {
        auto revision = store.commit(read(store).revision, edits);
        EXPECT_TRUE(revision) << revision.error().describe();
        return revision ? *revision : store::Revision{};
    }

    Place place_;
    std::unique_ptr<store::MappingStore> store_ = place_.open();
    std::unique_ptr<store::MappingStore> other_ = place_.open();
};
TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, IsEmptyAtFirst) {
    const auto snapshot = this->read(*this->store_);

    EXPECT_THAT(snapshot.mappings, testing::IsEmpty());
    EXPECT_FALSE(snapshot.is_old);
}

TYPED_TEST_P(StoreContract, GivesBackEveryProperty) {
    this->write(*this->store_, {store::PutMapping{full_contract_mapping()}});

    EXPECT_THAT(this->read(*this->other_).mappings, testing::ElementsAre(full_contract_mapping()));
}

TYPED_TEST_P(StoreContract, ReplacesTheMappingOfTheSameId) {
    this->write(*this->store_, {store::PutMapping{full_contract_mapping()}});
    this->write(*this->store_, {store::PutMapping{contract_mapping("media", "/new")}});

    EXPECT_THAT(this->read(*this->other_).mappings,
                testing::ElementsAre(contract_mapping("media", "/new")));
}

TYPED_TEST_P(StoreContract, RemovesWhatIsThereAndWhatIsNot) {
    this->write(*this->store_, {store::PutMapping{contract_mapping("media", "/a")}});

    this->write(*this->store_, {store::RemoveMapping{"media"}, store::RemoveMapping{"nothing"}});

    EXPECT_THAT(this->ids(*this->other_), testing::IsEmpty());
}

TYPED_TEST_P(StoreContract, AppliesEditsInOrder) {
    this->write(*this->store_,
                {store::PutMapping{contract_mapping("media", "/first")},
                 store::RemoveMapping{"media"},
                 store::PutMapping{contract_mapping("media", "/last")}});

    EXPECT_THAT(this->read(*this->other_).mappings,
                testing::ElementsAre(contract_mapping("media", "/last")));
}

TYPED_TEST_P(StoreContract, GivesTheRevisionThatTheNextReaderSees) {
    const auto written =
        this->write(*this->store_, {store::PutMapping{contract_mapping("media", "/a")}});

    EXPECT_EQ(this->read(*this->other_).revision, written);
}

TYPED_TEST_P(StoreContract, HasAnotherRevisionAfterEachChange) {
    const auto first = this->read(*this->store_).revision;
    const auto second =
        this->write(*this->store_, {store::PutMapping{contract_mapping("media", "/a")}});
    const auto third =
        this->write(*this->store_, {store::PutMapping{contract_mapping("media", "/b")}});

    EXPECT_NE(first, second);
    EXPECT_NE(second, third);
}

TYPED_TEST_P(StoreContract, RefusesACommitToAnOldRevisionAndChangesNothing) {
    const auto seen = this->read(*this->store_).revision;
    this->write(*this->other_, {store::PutMapping{contract_mapping("theirs", "/theirs")}});

    const auto late =
        this->store_->commit(seen, {store::PutMapping{contract_mapping("ours", "/ours")}});

    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), ESTALE);
    EXPECT_THAT(this->ids(*this->other_), testing::ElementsAre("theirs"));
}

TYPED_TEST_P(StoreContract, AcceptsARevisionThatAnotherObjectRead) {
    const auto seen = this->read(*this->other_).revision;

    EXPECT_TRUE(this->store_->commit(seen, {store::PutMapping{contract_mapping("media", "/a")}}));
}

TYPED_TEST_P(StoreContract, AppliesNoEditWhenOneIsInvalid) {
    const auto refused =
        this->store_->commit(this->read(*this->store_).revision,
                             {store::PutMapping{contract_mapping("good", "/good")},
                              store::PutMapping{contract_mapping("bad", "not absolute")}});

    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EINVAL);
    EXPECT_THAT(this->ids(*this->other_), testing::IsEmpty());
}

TYPED_TEST_P(StoreContract, WaitsForNothingNoLongerThanTheTimeout) {
    const auto seen = this->read(*this->store_).revision;

    const auto changed = this->store_->wait_for_change(seen, std::chrono::milliseconds{50});

    ASSERT_TRUE(changed) << changed.error().describe();
    EXPECT_FALSE(*changed);
}

TYPED_TEST_P(StoreContract, SeesAtOnceThatItHasChangedBefore) {
    const auto seen = this->read(*this->store_).revision;
    this->write(*this->other_, {store::PutMapping{contract_mapping("media", "/a")}});

    const auto changed = this->store_->wait_for_change(seen, std::chrono::minutes{1});

    ASSERT_TRUE(changed) << changed.error().describe();
    EXPECT_TRUE(*changed);
}

TYPED_TEST_P(StoreContract, WakesUpWhenAnotherWrites) {
    const auto seen = this->read(*this->store_).revision;
    std::thread writer{[this] {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        this->write(*this->other_, {store::PutMapping{contract_mapping("media", "/a")}});
    }};

    const auto changed = this->store_->wait_for_change(seen, std::chrono::minutes{1});
    writer.join();

    ASSERT_TRUE(changed) << changed.error().describe();
    EXPECT_TRUE(*changed);
}

TYPED_TEST_P(StoreContract, LosesNothingToWritersAtTheSameTime) {
    constexpr int writers = 4;
    constexpr int writes = 5;
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer) {
        threads.emplace_back([this, writer] {
            const auto store = this->place_.open();
            for (int i = 0; i < writes; ++i) {
                const auto id = "m" + std::to_string(writer) + "x" + std::to_string(i);
                const auto done = store::update(
                    *store,
                    [&](const store::Snapshot&) -> Result<std::vector<store::Edit>> {
                        return std::vector<store::Edit>{
                            store::PutMapping{contract_mapping(id, "/" + id)}};
                    },
                    1000);
                EXPECT_TRUE(done) << done.error().describe();
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }

    EXPECT_THAT(this->ids(*this->other_), testing::SizeIs(writers * writes));
}

REGISTER_TYPED_TEST_SUITE_P(StoreContract,
                            IsEmptyAtFirst,
                            GivesBackEveryProperty,
                            ReplacesTheMappingOfTheSameId,
                            RemovesWhatIsThereAndWhatIsNot,
                            AppliesEditsInOrder,
                            GivesTheRevisionThatTheNextReaderSees,
                            HasAnotherRevisionAfterEachChange,
                            RefusesACommitToAnOldRevisionAndChangesNothing,
                            AcceptsARevisionThatAnotherObjectRead,
                            AppliesNoEditWhenOneIsInvalid,
                            WaitsForNothingNoLongerThanTheTimeout,
                            SeesAtOnceThatItHasChangedBefore,
                            WakesUpWhenAnotherWrites,
                            LosesNothingToWritersAtTheSameTime);

} // namespace vfskit::test

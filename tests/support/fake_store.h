// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/store.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::test {

/// The content that several FakeStores share, as several processes share a file.
struct FakeStoreContent {
    store::Snapshot snapshot{{"rev-0"}, {}, {}};
    int commits = 0;
    /// Runs once before the next commit: another writer.
    std::function<void(FakeStoreContent&)> race;

    void bump() { snapshot.revision.text = "rev-" + std::to_string(++commits); }
};

/// A store in memory with the promises of MappingStore, but for its rules: it takes every mapping.
class FakeStore : public store::MappingStore {
public:
    explicit FakeStore(std::shared_ptr<FakeStoreContent> content) : content_{std::move(content)} {}

    [[nodiscard]] std::string url() const override { return "fake:store"; }
    Result<store::Snapshot> snapshot() override { return content_->snapshot; }

    Result<store::Revision> commit(const store::Revision& expected,
                                   const std::vector<store::Edit>& edits) override {
        if (auto race = std::exchange(content_->race, nullptr)) {
            race(*content_);
        }
        if (expected != content_->snapshot.revision) {
            return Error{ESTALE, "The store moved on"};
        }
        for (const auto& edit : edits) {
            apply(edit);
        }
        content_->bump();
        return content_->snapshot.revision;
    }

    Result<bool> wait_for_change(const store::Revision& seen,
                                 std::chrono::milliseconds /*timeout*/) override {
        return seen != content_->snapshot.revision;
    }

private:
    void apply(const store::Edit& edit) {
        auto& mappings = content_->snapshot.mappings;
        const auto* put = std::get_if<store::PutMapping>(&edit);
        const auto& id = put != nullptr ? put->mapping.id : std::get<store::RemoveMapping>(edit).id;
        const auto known = std::ranges::find(mappings, id, &mapping::DirectoryMapping::id);
        if (put == nullptr) {
            std::erase_if(mappings, [&](const auto& mapping) { return mapping.id == id; });
        } else if (known == mappings.end()) {
            mappings.push_back(put->mapping);
        } else {
            *known = put->mapping;
        }
    }

    std::shared_ptr<FakeStoreContent> content_;
};

} // namespace vfskit::test

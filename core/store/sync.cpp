// SPDX-License-Identifier: Apache-2.0
#include "core/store/sync.h"

#include "core/base/file.h"
#include "core/base/sha1.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

namespace vfskit::store {

using mapping::DirectoryMapping;
using Mappings = std::vector<DirectoryMapping>;
using MaybeMapping = std::optional<DirectoryMapping>;

namespace {

constexpr std::size_t max_state_bytes = 64 << 20;
constexpr int max_attempts = 8;

MaybeMapping find(const Mappings& mappings, const std::string& id) {
    const auto found = std::ranges::find(mappings, id, &DirectoryMapping::id);
    return found == mappings.end() ? std::nullopt : std::optional{*found};
}

bool are_same(const MaybeMapping& a, const MaybeMapping& b) {
    return a && b ? have_same_content(*a, *b) : a.has_value() == b.has_value();
}

/// Every id once, in the order of `from`, then of `to`, then what only the base has.
std::vector<std::string> all_ids(const Mappings& base, const Mappings& from, const Mappings& to) {
    std::vector<std::string> ids;
    std::set<std::string> seen;
    for (const auto* mappings : {&from, &to, &base}) {
        for (const auto& mapping : *mappings) {
            if (seen.insert(mapping.id).second) {
                ids.push_back(mapping.id);
            }
        }
    }
    return ids;
}

Change make_change(const std::string& id, const MaybeMapping& before, const MaybeMapping& after) {
    const auto kind = !before  ? ChangeKind::added
                      : !after ? ChangeKind::removed
                               : ChangeKind::changed;
    return {.kind = kind, .id = id, .before = before, .after = after};
}

/// The file with what a pair of stores had in common.
class SyncState {
public:
    SyncState(const std::string& directory, const MappingStore& from, const MappingStore& to)
        : directory_{directory}, path_{fmt::format("{}/{}.json",
                                                   directory,
                                                   base::sha1_hex(from.url() + "\n" + to.url()))} {}

    [[nodiscard]] Result<base::FileLock> lock() const {
        std::error_code failed;
        std::filesystem::create_directories(directory_, failed);
        if (failed) {
            return Error::from_errno(failed.value(), fmt::format("Cannot create '{}'", directory_));
        }
        return base::FileLock::acquire(path_ + ".lock", std::chrono::seconds{30});
    }
    [[nodiscard]] Result<Mappings> read() const {
        const auto text = base::read_file(path_, max_state_bytes);
        if (!text && text.error().code() == ENOENT) {
            return Mappings{};
        }
        if (!text) {
            return Error{text.error()};
        }
        VFSKIT_TRY_ASSIGN(auto document, parse_document(*text, path_));
        return std::move(document.mappings);
    }
    [[nodiscard]] Result<void> write(const Mappings& common) const {
        VFSKIT_TRY_ASSIGN(const auto text, export_mappings(common, DocumentFormat::json));
        return base::replace_file(path_, text);
    }

private:
    std::string directory_;
    std::string path_;
};

Result<Snapshot> read_now(MappingStore& store) {
    VFSKIT_TRY_ASSIGN(auto snapshot, store.snapshot());
    if (snapshot.is_old) {
        return Error{EHOSTUNREACH,
                     fmt::format("Store '{}' can only give an old state, which would undo what was "
                                 "changed since",
                                 store.url())}
            .with_remedy("Try again once it can be reached");
    }
    return snapshot;
}

} // namespace

Result<Prefer> parse_prefer(std::string_view word) {
    if (word == "from") {
        return Prefer::from;
    }
    if (word == "to") {
        return Prefer::to;
    }
    return Error{EINVAL, fmt::format("'{}' is neither 'from' nor 'to'", word)};
}

SyncPlan plan_sync(const Mappings& base, const Mappings& from, const Mappings& to, Prefer prefer) {
    SyncPlan plan;
    const auto remember = [&](const MaybeMapping& common) {
        if (common) {
            plan.base.push_back(*common);
        }
    };
    for (const auto& id : all_ids(base, from, to)) {
        const auto had = find(base, id);
        const auto here = find(from, id);
        const auto there = find(to, id);
        if (are_same(here, there)) {
            remember(here);
        } else if (are_same(here, had)) {
            plan.kept.push_back(id);
            remember(had);
        } else if (are_same(there, had) || prefer == Prefer::from) {
            plan.changes.push_back(make_change(id, there, here));
            remember(here);
        } else if (prefer == Prefer::to) {
            // From now on this is what `from` has and `to` has changed.
            plan.kept.push_back(id);
            remember(here);
        } else {
            plan.conflicts.push_back({.id = id, .base = had, .from = here, .to = there});
            remember(had);
        }
    }
    return plan;
}

Result<SyncResult> sync_stores(MappingStore& from, MappingStore& to, const SyncOptions& options) {
    const SyncState state{options.state_directory, from, to};
    std::optional<base::FileLock> lock;
    if (!options.dry_run) {
        VFSKIT_TRY_ASSIGN(lock, state.lock());
    }
    for (int attempt = 0;; ++attempt) {
        VFSKIT_TRY_ASSIGN(const auto common, state.read());
        SyncResult result;
        VFSKIT_TRY_ASSIGN(result.from, read_now(from));
        VFSKIT_TRY_ASSIGN(result.to, read_now(to));
        result.plan = plan_sync(common, result.from.mappings, result.to.mappings, options.prefer);
        if (options.dry_run || !result.plan.conflicts.empty()) {
            return result;
        }
        if (!result.plan.changes.empty()) {
            const auto written = to.commit(result.to.revision, make_edits(result.plan.changes));
            if (!written && written.error().code() == ESTALE && attempt + 1 < max_attempts) {
                continue;
            }
            if (!written) {
                return Error{written.error()}.under(fmt::format("Store '{}'", to.url()));
            }
            result.was_written = true;
        }
        if (result.plan.base != common) {
            VFSKIT_TRY(state.write(result.plan.base));
        }
        return result;
    }
}

} // namespace vfskit::store

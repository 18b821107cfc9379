// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_store.h"

#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/store/pve_files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::store {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds poll_interval{250};

/// The edits with one wish per id: the last one, in the order in which the ids first appear.
Result<std::vector<SectionWish>> fold(const std::vector<Edit>& edits) {
    std::vector<SectionWish> wishes;
    std::map<std::string, std::size_t> index;
    const auto wish_for = [&](const std::string& id) -> SectionWish& {
        const auto [at, is_new] = index.try_emplace(id, wishes.size());
        if (is_new) {
            wishes.push_back(SectionWish{id, std::nullopt, false});
        }
        return wishes[at->second];
    };
    for (const auto& edit : edits) {
        if (const auto* put = std::get_if<PutMapping>(&edit)) {
            VFSKIT_TRY(mapping::validate(put->mapping, mapping::Rules::pve));
            auto& wish = wish_for(put->mapping.id);
            wish.mapping = put->mapping;
            if (wish.mapping->description == "") {
                wish.mapping->description.reset();
            }
        } else if (const auto* removal = std::get_if<RemoveMapping>(&edit)) {
            wish_for(removal->id).mapping.reset();
        }
    }
    return wishes;
}

class PveStore final : public MappingStore {
public:
    PveStore(const std::string& root, const PveLockOptions& lock_options, PveClock& clock)
        : paths_{root}, lock_options_{lock_options}, clock_{&clock} {}

    [[nodiscard]] std::string url() const override { return "pve:" + paths_.root; }

    Result<Snapshot> snapshot() override {
        VFSKIT_TRY_ASSIGN(auto state, read_pve_state(paths_));
        Snapshot snapshot;
        snapshot.revision = state.revision();
        snapshot.mappings = std::move(state.mappings);
        snapshot.notices = std::move(state.directory->notices);
        for (auto& notice : state.truth.notices) {
            snapshot.notices.push_back(std::move(notice));
        }
        for (auto& issue : state.issues) {
            snapshot.notices.push_back(Notice{std::move(issue.place), std::move(issue.message)});
        }
        return snapshot;
    }

    Result<Revision> commit(const Revision& expected, const std::vector<Edit>& edits) override {
        VFSKIT_TRY_ASSIGN(auto wishes, fold(edits));
        VFSKIT_TRY(check_pve_root(paths_.root));
        VFSKIT_TRY_ASSIGN(const auto lock,
                          PveLock::acquire(paths_.root, pve_mapping_lock, lock_options_, *clock_));
        VFSKIT_TRY_ASSIGN(const auto state, read_pve_state(paths_));
        if (state.revision() != expected) {
            return Error{ESTALE, "It was changed by another writer"}
                .at({paths_.directory, 0, {}})
                .with_remedy("Look at it again and repeat the change");
        }
        VFSKIT_TRY_ASSIGN(auto change, plan_wishes(paths_, state, wishes));
        VFSKIT_TRY_ASSIGN(
            const auto plan,
            make_pve_plan(paths_, state, std::move(change.directory), change.records));
        return write_pve_plan(paths_, state, plan, lock);
    }

    Result<bool> wait_for_change(const Revision& seen, milliseconds timeout) override {
        const auto deadline = clock_->now() + timeout;
        std::string last_sign;
        for (;;) {
            VFSKIT_TRY_ASSIGN(auto sign, cheap_sign());
            if (sign.empty() || sign != last_sign) {
                VFSKIT_TRY_ASSIGN(const auto state, read_pve_state(paths_));
                if (state.revision() != seen) {
                    return true;
                }
                last_sign = std::move(sign);
            }
            const auto remaining = deadline - clock_->now();
            if (remaining <= milliseconds::zero()) {
                return false;
            }
            clock_->sleep(std::min(poll_interval, remaining));
        }
    }

private:
    /// Changes whenever directory.cfg (by pmxcfs's counter, which restarts with it) or vfskit.cfg
    /// changes; empty where there is no counter and so only the content tells.
    [[nodiscard]] Result<std::string> cheap_sign() const {
        const auto version = base::read_file(paths_.root + "/.version", pve_max_file_bytes);
        if (!version) {
            return std::string{};
        }
        const auto json = nlohmann::json::parse(*version, nullptr, false);
        const auto counter = pve_directory_cfg;
        if (!json.is_object() || !json.contains("starttime") || !json.contains(counter)) {
            return std::string{};
        }
        auto truth = base::read_file(paths_.truth, pve_max_file_bytes);
        if (!truth && truth.error().code() != ENOENT) {
            return std::move(truth).error();
        }
        return fmt::format("{} {} {}",
                           json.at("starttime").dump(),
                           json.at(std::string{counter}).dump(),
                           truth ? base::sha1_hex(*truth) : "none");
    }

    PvePaths paths_;
    PveLockOptions lock_options_;
    PveClock* clock_;
};

} // namespace

Result<std::unique_ptr<MappingStore>> open_pve_store(std::string root) {
    return open_pve_store(std::move(root), PveLockOptions{}, steady_pve_clock());
}

Result<std::unique_ptr<MappingStore>>
open_pve_store(std::string root, const PveLockOptions& lock_options, PveClock& clock) {
    if (root.empty() || root.front() != '/') {
        return Error{EINVAL, fmt::format("Store 'pve:{}' needs an absolute directory", root)}
            .with_remedy("Write it as pve:/etc/pve");
    }
    VFSKIT_TRY(check_pve_root(root));
    return std::unique_ptr<MappingStore>{std::make_unique<PveStore>(root, lock_options, clock)};
}

} // namespace vfskit::store

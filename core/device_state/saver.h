// SPDX-License-Identifier: Apache-2.0
// Private to the room: makes a State of what the store knows.
//
//   nothing known --locate()--> located --update()--> located --complete()--> state
//
// locate() may run while requests do, long before the switch-over; update() then does again what
// they changed. Without requests in between, complete() may follow at once.
#pragma once

#include "core/device_state/other_names.h"
#include "core/device_state/save.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/passthrough_fs.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vfskit::device_state {

/// The references must outlive it.
class Saver {
public:
    Saver(passthrough::PassthroughFs& filesystem, const SaveOptions& options);

    /// Where everything is. Gives up when `cancelled`; then nothing else may be called.
    void locate(Suspects suspects, const std::atomic<bool>& cancelled);
    /// `changed`: what the store noted since before locate(), each once. No request may run. False:
    /// it is too entangled, begin with a new one.
    bool update(const std::vector<NodeId>& changed, const Suspects& suspects);
    /// The rest. No request may run.
    Result<void> complete();

    [[nodiscard]] State take_state() { return std::move(state_); }
    /// Sorted by id.
    [[nodiscard]] std::vector<UnreachableFile> take_unreachable();
    [[nodiscard]] const std::vector<HandleId>& orphans() const { return orphans_; }
    [[nodiscard]] const std::vector<NodeId>& unverified() const { return unverified_; }

private:
    static constexpr std::size_t none = SIZE_MAX;

    /// What the store knows of an inode, copied out of its locks.
    struct Record {
        NodeId id{};
        std::uint64_t lookup_count = 0;
        NodeId parent{};
        std::string name;
        mode_t type = 0; ///< 0: lost in an earlier migration
        passthrough::HostIdentity identity;
        std::optional<FileHandle> handle;

        std::size_t parent_index = none; ///< while it is located: found by name in that record
        std::size_t place_index = none;  ///< in the trailer
        std::size_t dependents = 0;      ///< inodes that are found or have a place in it
        bool is_below_raw_name = false;  ///< it or a directory above has a name that is not UTF-8
    };

    /// What others below it rely on.
    struct Standing {
        NodeId id{};
        bool was_found = false;
        bool was_below_raw_name = false;
        bool has_dependents = false; ///< that stay as they are
    };

    // saver.cpp
    void append(const passthrough::InodeView& inode);
    void collect(const std::atomic<bool>& cancelled);
    void describe(std::size_t i);
    [[nodiscard]] std::size_t find(NodeId id) const;
    [[nodiscard]] static bool is_root(const Record& record) { return record.id == NodeId::root; }
    [[nodiscard]] bool is_suspect(const Record& record) const {
        return suspects_.count(static_cast<std::uint64_t>(record.id)) != 0;
    }
    [[nodiscard]] bool is_found(std::size_t i) const;
    void connect(std::size_t i);
    bool has_come_back(const Record& record);
    void locate_some(std::span<const std::size_t> some, const std::atomic<bool>& cancelled);
    void locate_by_handle(std::size_t i);
    void locate_by_path(std::size_t i);
    std::vector<std::size_t> parents_first(std::span<const std::size_t> some);
    void put_below(std::size_t i, std::size_t parent, const std::string& name);
    void add_place(std::size_t i, std::size_t parent, const std::string& name);
    void verify(std::size_t i);
    std::optional<FileHandle> get_handle(const passthrough::InodeRef& inode);
    std::optional<FileHandle> handle_of(std::size_t i);
    void collect_mounts(const std::set<std::uint64_t>& wanted);
    void save_options();
    void save_nameless();
    void save_opened();
    void save_numbers();

    // saver_search.cpp: what is not where it was
    void search_astray();
    void put_elsewhere(std::size_t i, std::size_t directory, std::string name);
    void search(std::size_t i);
    std::size_t find_directory(const std::string& path);
    void report(std::size_t i, std::string_view why);

    // saver_update.cpp
    void refresh(NodeId id, std::vector<NodeId>& gone);
    bool remove_all(const std::vector<NodeId>& gone);
    void withdraw(std::size_t i);
    void remove(std::size_t i);
    void remove_place(std::size_t i);
    [[nodiscard]] std::size_t parent_of(std::size_t i) const;
    [[nodiscard]] bool is_in_circle(std::size_t i) const;
    [[nodiscard]] bool is_upheld(const Standing& standing) const;

    passthrough::PassthroughFs& filesystem_;
    passthrough::InodeStore& inodes_;
    const SaveOptions& options_;
    passthrough::HostIdentity root_;
    Suspects suspects_;

    State state_;
    /// In step with state_.inodes, and with the trailer's files if it has them. The root is first.
    std::vector<Record> records_;
    std::unordered_map<std::uint64_t, std::size_t> index_;
    std::set<std::uint64_t> mounts_;                                ///< that inodes are in
    std::unordered_multimap<std::uint64_t, std::size_t> by_number_; ///< directories, when needed
    std::vector<std::size_t> astray_; ///< files that are not where they were
    std::vector<NodeId> strays_;      ///< not, or not easily found: to be looked at again
    std::optional<OtherNames> other_names_;
    std::vector<HandleId> orphans_;
    std::vector<NodeId> unverified_;
    std::vector<UnreachableFile> unreachable_;
};

/// Completes it, and tells `log` what cannot be sent.
Result<State> finish(Saver& saver, SaveMode mode, LogSink& log);

} // namespace vfskit::device_state

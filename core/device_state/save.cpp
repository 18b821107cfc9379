// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/save.h"

#include "core/base/text.h"
#include "core/device_state/other_names.h"
#include "core/device_state/paths.h"
#include "core/device_state/save_open_files.h"
#include "core/passthrough/host_calls.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostFileHandle;
using passthrough::HostIdentity;
using passthrough::InodeStore;
using passthrough::InodeView;
using passthrough::PassthroughFs;

namespace {

constexpr std::size_t none = SIZE_MAX;
constexpr std::string_view lost_before = "It was lost in an earlier migration";

/// What the store knows of an inode, copied out of its locks.
struct Record {
    NodeId id{};
    std::uint64_t lookup_count = 0;
    NodeId parent{};
    std::string name;
    mode_t type = 0; ///< 0: lost in an earlier migration
    HostIdentity identity;
    std::optional<FileHandle> handle;

    std::size_t parent_index = none; ///< set: found by name in that record
    bool is_below_raw_name = false;  ///< it or a directory above has a name that is not UTF-8
};

FileHandle to_saved(const HostFileHandle& handle, passthrough::MountId mount) {
    const auto bytes = handle.view();
    return {static_cast<std::uint64_t>(mount), handle.type, {bytes.begin(), bytes.end()}};
}

class Saver {
public:
    Saver(PassthroughFs& filesystem, const SaveOptions& options, const Suspects& suspects)
        : filesystem_{filesystem}, inodes_{filesystem.inodes()}, options_{options}, suspects_{
                                                                                        suspects} {}

    Result<void> save() {
        state_.trailer.emplace();
        state_.trailer->negotiated = filesystem_.negotiated();
        VFSKIT_TRY_ASSIGN(state_.trailer->identity, identify_share(inodes_, options_.host));
        if (!filesystem_.negotiated().is_initialized()) {
            return {}; // as upstream's before the guest mounts: not even a root
        }
        locate();
        count_children();
        orphans_ = save_open_files(filesystem_, state_);
        save_options();
        state_.next_inode = inodes_.next_id();
        if (options_.mode == SaveMode::find_paths) {
            save_nameless();
        } else if (options_.mode == SaveMode::fd_passing) {
            save_numbers();
            state_.trailer->locks = held_locks(filesystem_);
        }
        return {};
    }

    /// Where everything is. All that may be asked for while the guest runs.
    void locate() {
        if (!state_.trailer) {
            state_.trailer.emplace();
        }
        collect();
        connect();
        if (options_.mode == SaveMode::file_handles) {
            locate_by_handle();
            collect_mounts({});
        } else {
            break_circles();
            locate_by_path();
        }
    }

    [[nodiscard]] State take_state() { return std::move(state_); }
    [[nodiscard]] std::vector<UnreachableFile> take_unreachable() {
        std::sort(unreachable_.begin(), unreachable_.end(), [](const auto& a, const auto& b) {
            return a.id < b.id;
        });
        return std::move(unreachable_);
    }
    [[nodiscard]] const std::vector<HandleId>& orphans() const { return orphans_; }
    [[nodiscard]] const std::vector<NodeId>& unverified() const { return unverified_; }

private:
    // ---- what there is
    void collect() {
        const bool wants_handles =
            options_.mode == SaveMode::file_handles || options_.verify_handles;
        records_.reserve(inodes_.size());
        inodes_.for_each([&](const InodeView& inode) {
            Record record;
            record.id = inode.id;
            record.lookup_count = inode.lookup_count;
            record.parent = inode.place.parent;
            record.name = inode.place.name;
            record.type = inode.type;
            record.identity = inode.identity;
            if (wants_handles && inode.handle) {
                record.handle = to_saved(inode.handle.expand(), inode.identity.mount);
            }
            records_.push_back(std::move(record));
        });
        std::sort(records_.begin(), records_.end(), [](const auto& a, const auto& b) {
            return a.id < b.id;
        });
        index_.reserve(records_.size());
        for (std::size_t i = 0; i < records_.size(); ++i) {
            index_.emplace(static_cast<std::uint64_t>(records_[i].id), i);
        }
        if (options_.mode != SaveMode::fd_passing) { // which brings the files themselves
            describe_files();
        }
        state_.inodes.resize(records_.size());
        for (std::size_t i = 0; i < records_.size(); ++i) {
            state_.inodes[i].id = records_[i].id;
            state_.inodes[i].refcount = records_[i].lookup_count;
            state_.inodes[i].location = InvalidLocation{};
        }
    }

    /// Those of the root's mount: a destination knows no other's numbers.
    void describe_files() {
        const auto root = inodes_.find(NodeId::root)->identity;
        auto& files = state_.trailer->files;
        files.resize(records_.size());
        for (std::size_t i = 0; i < records_.size(); ++i) {
            const auto& identity = records_[i].identity;
            if (identity.mount == root.mount && identity.device == root.device) {
                files[i] = {
                    records_[i].type, static_cast<std::uint64_t>(identity.ino), identity.birth};
            }
        }
    }

    [[nodiscard]] std::size_t find(NodeId id) const {
        const auto found = index_.find(static_cast<std::uint64_t>(id));
        return found == index_.end() ? none : found->second;
    }
    [[nodiscard]] static bool is_root(const Record& record) { return record.id == NodeId::root; }
    [[nodiscard]] bool is_suspect(const Record& record) const {
        return suspects_.count(static_cast<std::uint64_t>(record.id)) != 0;
    }

    /// The places that can be believed.
    void connect() {
        for (auto& record : records_) {
            const auto parent = record.name.empty() ? none : find(record.parent);
            if (parent != none && S_ISDIR(records_[parent].type) && record.type != 0 &&
                !is_root(record) && (!is_suspect(record) || has_come_back(record))) {
                record.parent_index = parent;
            }
        }
    }
    /// A suspect that the guest has found anew since it was checked.
    bool has_come_back(const Record& record) {
        const auto inode = inodes_.find(record.id);
        return inode && is_at_place(inodes_, inode, record.parent, record.name);
    }

    // ---- find-paths
    /// Stale places may form a circle, which one of its members has to leave.
    void break_circles() {
        enum class Mark : std::uint8_t { unseen, on_way, done };
        std::vector<Mark> marks(records_.size(), Mark::unseen);
        std::vector<std::size_t> way;
        order_.reserve(records_.size());
        for (std::size_t start = 0; start < records_.size(); ++start) {
            for (auto i = start; i != none && marks[i] != Mark::done;
                 i = records_[i].parent_index) {
                if (marks[i] == Mark::on_way) {
                    records_[way.back()].parent_index = none;
                    break;
                }
                marks[i] = Mark::on_way;
                way.push_back(i);
            }
            for (; !way.empty(); way.pop_back()) {
                marks[way.back()] = Mark::done;
                order_.push_back(way.back());
            }
        }
    }

    void locate_by_path() {
        for (const auto i : order_) { // parents first
            auto& record = records_[i];
            if (is_root(record)) {
                state_.inodes[i].location = RootLocation{};
            } else if (record.type == 0) {
                report(record, lost_before);
            } else if (record.parent_index != none && is_found(record.parent_index)) {
                put_below(i, record.parent_index, record.name);
            } else if (S_ISDIR(record.type)) {
                search(i);
            } else {
                astray_.push_back(i); // when all directories have their places
            }
        }
        find_other_names();
        for (const auto i : astray_) {
            search(i);
        }
        for (std::size_t i = 0; options_.verify_handles && i < records_.size(); ++i) {
            state_.inodes[i].verify_handle = handle_to_verify(i);
        }
    }

    void find_other_names() {
        for (const auto i : astray_) {
            other_names_.want(records_[i].id);
        }
        for (std::size_t i = 0; other_names_.wants_any() && i < records_.size(); ++i) {
            if (S_ISDIR(records_[i].type) && is_found(i)) {
                other_names_.list(i, records_[i].id);
            }
        }
    }
    bool take_other_name(std::size_t i) {
        const auto found = other_names_.find(records_[i].id);
        if (found) {
            put_below(i, found->first, found->second);
        }
        return found.has_value();
    }

    [[nodiscard]] bool is_found(std::size_t i) const {
        return records_[i].is_below_raw_name ||
               !std::holds_alternative<InvalidLocation>(state_.inodes[i].location);
    }

    void put_below(std::size_t i, std::size_t parent, const std::string& name) {
        auto& record = records_[i];
        record.parent_index = parent;
        if (records_[parent].is_below_raw_name || !base::is_valid_utf8(name)) {
            record.is_below_raw_name = true;
            state_.trailer->places.push_back({record.id, records_[parent].id, name});
        } else {
            state_.inodes[i].location = PathLocation{records_[parent].id, name};
        }
    }

    /// Asks the kernel where the file is.
    void search(std::size_t i) {
        records_[i].parent_index = none;
        if (take_other_name(i)) {
            return;
        }
        const auto inode = inodes_.find(records_[i].id);
        auto path = inode ? find_path(inodes_, inode) : Error{ESTALE, "It is gone"};
        if (!path) {
            report(records_[i], path.error().message());
            return;
        }
        const auto slash = path->rfind('/');
        const auto directory = slash == std::string::npos ? find(NodeId::root)
                                                          : find_directory(path->substr(0, slash));
        if (directory != none && is_found(directory)) {
            put_below(i, directory, path->substr(slash == std::string::npos ? 0 : slash + 1));
        } else if (base::is_valid_utf8(*path)) {
            state_.inodes[i].location = FullPathLocation{std::move(*path)};
        } else {
            report(records_[i],
                   "Its path is not UTF-8 and the guest has forgotten the directory it is in");
        }
    }

    /// The record of a directory, by its path.
    std::size_t find_directory(const std::string& path) {
        if (by_number_.empty()) {
            for (std::size_t i = 0; i < records_.size(); ++i) {
                if (S_ISDIR(records_[i].type)) {
                    by_number_.emplace(static_cast<std::uint64_t>(records_[i].identity.ino), i);
                }
            }
        }
        const auto root = inodes_.find(NodeId::root);
        const auto root_fd = inodes_.fd_of(root);
        const UniqueFd fd{std::max(open_below(root_fd.get(), path), -1)};
        struct statx status {};
        if (!fd || passthrough::stat_fd(fd.get(), status) != 0) {
            return none;
        }
        const auto [first, last] = by_number_.equal_range(status.stx_ino);
        const auto same = std::find_if(first, last, [&](const auto& entry) {
            return records_[entry.second].identity == HostIdentity::of(status);
        });
        return same == last ? none : same->second;
    }

    void report(const Record& record, std::string_view why) {
        UnreachableFile file;
        file.id = record.id;
        file.ino = record.identity.ino;
        file.reason = why;
        if (const auto inode = inodes_.find(record.id); inode && !inode->is_lost()) {
            file.path = last_known_path(inodes_, inode);
            file.has_handle = get_handle(inode).has_value();
            struct statx status {};
            const auto fd = inodes_.fd_of(inode);
            file.is_deleted = fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 &&
                              status.stx_nlink == 0;
        }
        if (file.path.empty()) {
            file.path = record.name;
        }
        unreachable_.push_back(std::move(file));
    }

    // ---- file handles
    std::optional<FileHandle> get_handle(const passthrough::InodeRef& inode) {
        const auto fd = inodes_.fd_of(inode);
        HostFileHandle handle;
        std::uint32_t mount = 0;
        if (!fd.is_valid() || passthrough::get_file_handle(fd.get(), handle, mount) != 0) {
            return std::nullopt;
        }
        return to_saved(handle, passthrough::MountId{mount});
    }

    std::optional<FileHandle> handle_of(std::size_t i) {
        auto& record = records_[i];
        if (record.handle) {
            return std::move(record.handle);
        }
        const auto inode = inodes_.find(record.id);
        return inode && !inode->is_lost() ? get_handle(inode) : std::nullopt;
    }

    std::optional<FileHandle> handle_to_verify(std::size_t i) {
        const auto& location = state_.inodes[i].location;
        if (!std::holds_alternative<RootLocation>(location) &&
            !std::holds_alternative<PathLocation>(location)) {
            return std::nullopt; // upstream verifies these two
        }
        auto handle = handle_of(i);
        if (!handle) {
            unverified_.push_back(records_[i].id);
        }
        return handle;
    }

    void locate_by_handle() {
        for (std::size_t i = 0; i < records_.size(); ++i) {
            const auto& record = records_[i];
            if (is_root(record)) {
                state_.inodes[i].location = RootLocation{};
                continue;
            }
            if (record.type == 0) {
                report(record, lost_before);
                continue;
            }
            auto handle = handle_of(i);
            if (!handle) {
                report(record, "It has no file handle");
                continue;
            }
            state_.inodes[i].location = FileHandleLocation{std::move(*handle)};
            if (record.parent_index != none) {
                state_.trailer->places.push_back({record.id, record.parent, record.name});
            }
        }
    }

    /// Any directory of a mount serves to open its handles. `wanted`: of these; none: of all.
    void collect_mounts(const std::set<std::uint64_t>& wanted) {
        std::map<std::uint64_t, std::string> mounts;
        mounts[static_cast<std::uint64_t>(records_.front().identity.mount)] = "."; // the root's
        for (const auto& record : records_) {
            const auto mount = static_cast<std::uint64_t>(record.identity.mount);
            const bool is_wanted = wanted.empty() || wanted.count(mount) != 0;
            if (!is_wanted || mounts.count(mount) != 0 || !S_ISDIR(record.type)) {
                continue;
            }
            const auto inode = inodes_.find(record.id);
            const auto path = inode ? find_path(inodes_, inode) : Error{ESTALE, "It is gone"};
            if (path && base::is_valid_utf8(*path)) {
                mounts[mount] = *path;
            }
        }
        for (auto& [id, path] : mounts) {
            state_.mounts.push_back({id, std::move(path)});
        }
    }

    // ---- the rest
    void count_children() {
        for (std::size_t i = 0; i < records_.size(); ++i) {
            const bool is_path = std::holds_alternative<PathLocation>(state_.inodes[i].location);
            if (is_path || records_[i].is_below_raw_name) {
                ++state_.inodes[records_[i].parent_index].refcount;
            }
        }
    }

    void save_options() {
        using namespace fuse::wire;
        const auto& negotiated = filesystem_.negotiated();
        state_.options.writeback = negotiated.has(FUSE_WRITEBACK_CACHE);
        state_.options.announce_submounts =
            options_.announce_submounts && negotiated.has(FUSE_SUBMOUNTS);
        state_.options.posix_acl = negotiated.has(FUSE_POSIX_ACL);
        state_.options.supplementary_groups = negotiated.has(FUSE_CREATE_SUPP_GROUP);
    }

    /// What has no path may have a handle; that is of use where both directories are one.
    void save_nameless() {
        std::set<std::uint64_t> mounts;
        for (const auto& file : unreachable_) {
            const auto inode = file.has_handle ? inodes_.find(file.id) : passthrough::InodeRef{};
            auto handle = inode ? get_handle(inode) : std::nullopt;
            if (handle) {
                mounts.insert(handle->mount_id);
                state_.trailer->nameless.push_back({file.id, std::move(*handle)});
            }
        }
        if (!mounts.empty()) {
            collect_mounts(mounts);
        }
    }

    void save_numbers() {
        for (const auto& record : records_) {
            if (record.type != 0) {
                state_.trailer->numbers.push_back({record.id,
                                                   record.identity.device,
                                                   static_cast<std::uint64_t>(record.identity.ino),
                                                   record.identity.birth});
            }
        }
    }

    PassthroughFs& filesystem_;
    InodeStore& inodes_;
    const SaveOptions& options_;
    const Suspects& suspects_;

    State state_;
    std::vector<Record> records_; ///< by id, in step with state_.inodes
    std::unordered_map<std::uint64_t, std::size_t> index_;
    std::unordered_multimap<std::uint64_t, std::size_t> by_number_; ///< directories, when needed
    std::vector<std::size_t> order_;
    std::vector<std::size_t> astray_; ///< files that are not where they were
    OtherNames other_names_{inodes_};
    std::vector<HandleId> orphans_;
    std::vector<NodeId> unverified_;
    std::vector<UnreachableFile> unreachable_;
};

void tell(const UnreachableFile& file, SaveMode mode, LogSink& log) {
    if (file.ino == passthrough::HostIno{}) {
        return; // was told when it was lost
    }
    const auto whom =
        fmt::format("Inode {}{}",
                    static_cast<std::uint64_t>(file.id),
                    file.path.empty() ? "" : fmt::format(" (last seen as '{}')", file.path));
    if (mode == SaveMode::fd_passing) {
        log.write(LogLevel::info,
                  fmt::format("{} goes to the destination as an open descriptor only: {}",
                              whom,
                              file.reason));
    } else if (mode == SaveMode::find_paths && file.has_handle) {
        log.write(LogLevel::warn,
                  fmt::format("{} goes to the destination by its file handle only, which needs the "
                              "same shared directory there: {}",
                              whom,
                              file.reason));
    } else {
        log.write(LogLevel::warn,
                  fmt::format("{} cannot be sent to the destination: {}", whom, file.reason));
    }
}

} // namespace

Result<State> save(PassthroughFs& filesystem,
                   const SaveOptions& options,
                   const Suspects& suspects,
                   LogSink& log) {
    Saver saver{filesystem, options, suspects};
    VFSKIT_TRY(saver.save());
    for (const auto& file : saver.take_unreachable()) {
        tell(file, options.mode, log);
    }
    for (const auto id : saver.unverified()) {
        log.write(LogLevel::warn,
                  fmt::format("Inode {} has no file handle to verify; it is sent without",
                              static_cast<std::uint64_t>(id)));
    }
    for (const auto id : saver.orphans()) {
        log.write(LogLevel::warn,
                  fmt::format("Open file {} cannot be sent to the destination: the guest has "
                              "forgotten its inode",
                              static_cast<std::uint64_t>(id)));
    }
    return saver.take_state();
}

std::vector<UnreachableFile> find_unreachable(PassthroughFs& filesystem,
                                              const SaveOptions& options) {
    const std::atomic<bool> never{false};
    const auto suspects = find_suspects(filesystem.inodes(), never);
    Saver saver{filesystem, options, suspects};
    saver.locate();
    return saver.take_unreachable();
}

} // namespace vfskit::device_state

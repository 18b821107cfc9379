// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/saver.h"

#include "core/base/text.h"
#include "core/device_state/paths.h"
#include "core/device_state/save_open_files.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostFileHandle;
using passthrough::InodeView;
using passthrough::PassthroughFs;

namespace {

constexpr std::string_view lost_before = "It was lost in an earlier migration";

FileHandle to_saved(const HostFileHandle& handle, passthrough::MountId mount) {
    const auto bytes = handle.view();
    return {static_cast<std::uint64_t>(mount), handle.type, {bytes.begin(), bytes.end()}};
}

} // namespace

Saver::Saver(PassthroughFs& filesystem, const SaveOptions& options)
    : filesystem_{filesystem}, inodes_{filesystem.inodes()}, options_{options},
      root_{inodes_.find(NodeId::root)->identity} {
    state_.trailer.emplace();
}

void Saver::locate(Suspects suspects, const std::atomic<bool>& cancelled) {
    suspects_ = std::move(suspects);
    collect(cancelled);
    std::vector<std::size_t> all(records_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    locate_some(all, cancelled);
}

Result<void> Saver::complete() {
    const bool is_mounted = filesystem_.negotiated().is_initialized();
    if (!is_mounted) {
        state_ = {}; // as upstream's before the guest mounts: not even a root
        state_.trailer.emplace();
    }
    auto& trailer = *state_.trailer;
    trailer.negotiated = filesystem_.negotiated();
    VFSKIT_TRY_ASSIGN(trailer.identity, identify_share(inodes_, options_.host));
    if (!is_mounted) {
        return {};
    }
    orphans_ = save_open_files(filesystem_, state_, [this](NodeId id) { return find(id) != none; });
    save_options();
    state_.next_inode = inodes_.next_id();
    switch (options_.mode) {
    case SaveMode::find_paths:
        save_nameless();
        save_opened();
        break;
    case SaveMode::file_handles:
        collect_mounts({});
        break;
    case SaveMode::fd_passing:
        save_numbers();
        trailer.locks = held_locks(filesystem_);
        break;
    }
    std::erase_if(unverified_, [this](NodeId id) { return find(id) == none; });
    std::sort(unverified_.begin(), unverified_.end());
    unverified_.erase(std::unique(unverified_.begin(), unverified_.end()), unverified_.end());
    return {};
}

std::vector<UnreachableFile> Saver::take_unreachable() {
    std::sort(unreachable_.begin(), unreachable_.end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    return std::move(unreachable_);
}

// ---- what there is
// -------------------------------------------------------------------------------

void Saver::append(const InodeView& inode) {
    const bool wants_handles = options_.mode == SaveMode::file_handles || options_.verify_handles;
    auto& record = records_.emplace_back();
    record.id = inode.id;
    record.lookup_count = inode.lookup_count;
    record.parent = inode.place.parent;
    record.name = inode.place.name;
    record.type = inode.type;
    record.identity = inode.identity;
    if (wants_handles && inode.handle) {
        record.handle = to_saved(inode.handle.expand(), inode.identity.mount);
    }
    const auto mount = static_cast<std::uint64_t>(inode.identity.mount);
    if (inode.type != 0 && inode.identity.mount != root_.mount) {
        mounts_.insert(mount);
    }
}

/// Gives the record at `i`, the last, its counterparts in the state.
void Saver::describe(std::size_t i) {
    const auto& record = records_[i];
    index_.emplace(static_cast<std::uint64_t>(record.id), i);
    state_.inodes.push_back({record.id, record.lookup_count, InvalidLocation{}, {}});
    if (options_.mode == SaveMode::fd_passing) { // which brings the files themselves
        return;
    }
    // A destination knows no other mount's numbers.
    const auto& identity = record.identity;
    const bool is_own = identity.mount == root_.mount && identity.device == root_.device;
    state_.trailer->files.push_back(
        is_own ? SavedFile{record.type, static_cast<std::uint64_t>(identity.ino), identity.birth}
               : SavedFile{});
}

void Saver::collect(const std::atomic<bool>& cancelled) {
    records_.reserve(inodes_.size());
    inodes_.for_each([this](const InodeView& inode) { append(inode); });
    std::sort(
        records_.begin(), records_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    index_.reserve(records_.size());
    state_.inodes.reserve(records_.size());
    for (std::size_t i = 0; i < records_.size() && !cancelled; ++i) {
        describe(i);
    }
}

std::size_t Saver::find(NodeId id) const {
    const auto found = index_.find(static_cast<std::uint64_t>(id));
    return found == index_.end() ? none : found->second;
}

// ---- where it is
// ---------------------------------------------------------------------------------

/// Believes its place, if that can be believed.
void Saver::connect(std::size_t i) {
    auto& record = records_[i];
    const auto parent = record.name.empty() ? none : find(record.parent);
    const bool is_believed = parent != none && S_ISDIR(records_[parent].type) && record.type != 0 &&
                             !is_root(record) && (!is_suspect(record) || has_come_back(record));
    record.parent_index = is_believed ? parent : none;
}

/// A suspect that the guest has found anew since it was checked, or that was searched for before.
bool Saver::has_come_back(const Record& record) {
    const auto inode = inodes_.find(record.id);
    return inode && is_at_place(inodes_, inode, record.parent, record.name);
}

void Saver::locate_some(std::span<const std::size_t> some, const std::atomic<bool>& cancelled) {
    other_names_.emplace(inodes_);
    by_number_.clear();
    astray_.clear();
    strays_.clear();
    unreachable_.clear();
    for (std::size_t k = 0; k < some.size() && !cancelled; ++k) {
        connect(some[k]);
    }
    if (options_.mode == SaveMode::file_handles) {
        for (std::size_t k = 0; k < some.size() && !cancelled; ++k) {
            locate_by_handle(some[k]);
        }
        return;
    }
    const auto ordered = parents_first(some);
    for (std::size_t k = 0; k < ordered.size() && !cancelled; ++k) {
        locate_by_path(ordered[k]);
    }
    if (!cancelled) {
        search_astray();
    }
    for (std::size_t k = 0; options_.verify_handles && k < some.size() && !cancelled; ++k) {
        verify(some[k]);
    }
}

/// Stale places may form a circle, which one of its members has to leave.
std::vector<std::size_t> Saver::parents_first(std::span<const std::size_t> some) {
    enum class Mark : std::uint8_t { done, unseen, on_way };
    std::vector<Mark> marks(records_.size(), Mark::done);
    for (const auto i : some) {
        marks[i] = Mark::unseen;
    }
    std::vector<std::size_t> ordered;
    ordered.reserve(some.size());
    std::vector<std::size_t> way;
    for (const auto start : some) {
        for (auto i = start; i != none && marks[i] != Mark::done; i = records_[i].parent_index) {
            if (marks[i] == Mark::on_way) {
                records_[way.back()].parent_index = none;
                break;
            }
            marks[i] = Mark::on_way;
            way.push_back(i);
        }
        for (; !way.empty(); way.pop_back()) {
            marks[way.back()] = Mark::done;
            ordered.push_back(way.back());
        }
    }
    return ordered;
}

void Saver::locate_by_path(std::size_t i) {
    auto& record = records_[i];
    if (is_root(record)) {
        state_.inodes[i].location = RootLocation{};
        return;
    }
    if (record.parent_index != none && is_found(record.parent_index)) {
        put_below(i, record.parent_index, record.name);
        return;
    }
    strays_.push_back(record.id);
    if (record.type == 0) {
        report(i, lost_before);
    } else if (S_ISDIR(record.type)) {
        search(i);
    } else {
        astray_.push_back(i); // when all directories have their places
    }
}

bool Saver::is_found(std::size_t i) const {
    return records_[i].is_below_raw_name ||
           !std::holds_alternative<InvalidLocation>(state_.inodes[i].location);
}

void Saver::put_below(std::size_t i, std::size_t parent, const std::string& name) {
    auto& record = records_[i];
    record.parent_index = parent;
    if (records_[parent].is_below_raw_name || !base::is_valid_utf8(name)) {
        record.is_below_raw_name = true;
        add_place(i, parent, name);
    } else {
        state_.inodes[i].location = PathLocation{records_[parent].id, name};
        ++records_[parent].dependents;
    }
    ++state_.inodes[parent].refcount; // one for each child
}

void Saver::add_place(std::size_t i, std::size_t parent, const std::string& name) {
    records_[i].place_index = state_.trailer->places.size();
    state_.trailer->places.push_back({records_[i].id, records_[parent].id, name});
    ++records_[parent].dependents;
}

// ---- file handles
// --------------------------------------------------------------------------------

std::optional<FileHandle> Saver::get_handle(const passthrough::InodeRef& inode) {
    const auto fd = inodes_.fd_of(inode);
    HostFileHandle handle;
    std::uint32_t mount = 0;
    if (!fd.is_valid() || passthrough::get_file_handle(fd.get(), handle, mount) != 0) {
        return std::nullopt;
    }
    return to_saved(handle, passthrough::MountId{mount});
}

std::optional<FileHandle> Saver::handle_of(std::size_t i) {
    auto& record = records_[i];
    if (record.handle) {
        return std::exchange(record.handle, std::nullopt);
    }
    const auto inode = inodes_.find(record.id);
    return inode && !inode->is_lost() ? get_handle(inode) : std::nullopt;
}

/// Upstream verifies what is found by path, and the root.
void Saver::verify(std::size_t i) {
    auto& inode = state_.inodes[i];
    if (!std::holds_alternative<RootLocation>(inode.location) &&
        !std::holds_alternative<PathLocation>(inode.location)) {
        inode.verify_handle.reset();
        return;
    }
    if (!inode.verify_handle) {
        inode.verify_handle = handle_of(i);
    }
    if (!inode.verify_handle) {
        unverified_.push_back(inode.id);
    }
}

void Saver::locate_by_handle(std::size_t i) {
    const auto& record = records_[i];
    auto& location = state_.inodes[i].location;
    if (is_root(record)) {
        location = RootLocation{};
        return;
    }
    if (!std::holds_alternative<FileHandleLocation>(location)) {
        auto handle = record.type == 0 ? std::nullopt : handle_of(i);
        if (!handle) {
            strays_.push_back(record.id);
            report(i, record.type == 0 ? lost_before : "It has no file handle");
            return;
        }
        location = FileHandleLocation{std::move(*handle)};
    }
    if (record.parent_index != none) {
        add_place(i, record.parent_index, record.name);
    }
}

/// Any directory of a mount serves to open its handles. `wanted`: of these; none: of all.
void Saver::collect_mounts(const std::set<std::uint64_t>& wanted) {
    std::map<std::uint64_t, std::string> mounts;
    mounts[static_cast<std::uint64_t>(root_.mount)] = ".";
    for (std::size_t i = 0; !mounts_.empty() && i < records_.size(); ++i) {
        const auto& record = records_[i];
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
// ------------------------------------------------------------------------------------

void Saver::save_options() {
    using namespace fuse::wire;
    const auto& negotiated = filesystem_.negotiated();
    state_.options.writeback = negotiated.has(FUSE_WRITEBACK_CACHE);
    state_.options.announce_submounts =
        options_.announce_submounts && negotiated.has(FUSE_SUBMOUNTS);
    state_.options.posix_acl = negotiated.has(FUSE_POSIX_ACL);
    state_.options.supplementary_groups = negotiated.has(FUSE_CREATE_SUPP_GROUP);
}

/// What has no path may have a handle; that is of use where both directories are one.
void Saver::save_nameless() {
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

/// Spares the destination several system calls for each, where both directories are one.
void Saver::save_opened() {
    for (const auto& handle : state_.handles) {
        const auto i = find(handle.node);
        const auto inode = inodes_.find(handle.node);
        const bool has_place = records_[i].is_below_raw_name ||
                               std::holds_alternative<PathLocation>(state_.inodes[i].location);
        if (inode && has_place && inode->handle && inode->identity.mount == root_.mount &&
            !S_ISDIR(inode->type)) {
            state_.trailer->opened.push_back(
                {handle.node, to_saved(inode->handle.expand(), inode->identity.mount)});
        }
    }
    auto& opened = state_.trailer->opened;
    std::sort(
        opened.begin(), opened.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    const auto is_same = [](const auto& a, const auto& b) { return a.id == b.id; };
    opened.erase(std::unique(opened.begin(), opened.end(), is_same), opened.end());
}

void Saver::save_numbers() {
    for (const auto& record : records_) {
        if (record.type != 0) {
            state_.trailer->numbers.push_back({record.id,
                                               record.identity.device,
                                               static_cast<std::uint64_t>(record.identity.ino),
                                               record.identity.birth});
        }
    }
}

} // namespace vfskit::device_state

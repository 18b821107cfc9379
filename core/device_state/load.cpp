// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/load.h"

#include "core/device_state/inode_tree.h"
#include "core/device_state/negotiated.h"
#include "core/device_state/passed_files.h"
#include "core/device_state/paths.h"
#include "core/device_state/unopened.h"
#include "core/passthrough/host_calls.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

using fuse::NegotiatedState;
using passthrough::HostFileHandle;
using passthrough::InodeStore;
using passthrough::PassthroughFs;

namespace {

// ---- files
// ---------------------------------------------------------------------------------------

FileHandle handle_of_fd(int fd) {
    HostFileHandle handle;
    std::uint32_t mount = 0;
    (void)passthrough::get_file_handle(fd, handle, mount);
    const auto bytes = handle.view();
    return {mount, handle.type, {bytes.begin(), bytes.end()}};
}

class Loader {
public:
    Loader(const State& state,
           const InodeTree& tree,
           PassthroughFs& filesystem,
           UnopenedFiles& unopened,
           const LoadOptions& options,
           LogSink& log)
        : state_{state}, tree_{tree}, filesystem_{filesystem}, inodes_{filesystem.inodes()},
          unopened_{unopened}, options_{options}, log_{log} {}

    Result<void> load() {
        VFSKIT_TRY(prove_share());
        VFSKIT_TRY(take_offer());
        open_mounts();
        index_nameless();
        VFSKIT_TRY(load_inodes());
        if (!state_.trailer && !by_handle_.empty()) {
            VFSKIT_TRY(prove_loaded_below_root(inodes_, by_handle_));
        }
        inodes_.raise_next_id(state_.next_inode);
        VFSKIT_TRY(load_handles());
        filesystem_.handles().raise_next_id(state_.next_handle);
        VFSKIT_TRY(load_locks());
        return source_ ? source_->finish() : Result<void>{};
    }

private:
    [[nodiscard]] bool has_file_handles() const {
        return std::any_of(state_.inodes.begin(), state_.inodes.end(), [](const auto& inode) {
            return std::holds_alternative<FileHandleLocation>(inode.location);
        });
    }

    Result<void> prove_share() {
        if (!state_.trailer || !has_file_handles()) {
            return {};
        }
        VFSKIT_TRY_ASSIGN(const auto here, identify_share(inodes_, options_.host));
        return prove_same_share(state_.trailer->identity, here);
    }

    // ---- what the source passes
    Result<void> take_offer() {
        if (!state_.trailer || !state_.trailer->offer) {
            return {};
        }
        auto taken = connect();
        if (taken) {
            return {};
        }
        auto error = std::move(taken).error().under("The open descriptors of the source cannot be "
                                                    "had");
        if (options_.on_error == OnError::abort || error.code() == ECANCELED) {
            return std::move(error).with_remedy(
                "Where the source has gone for good, start the daemon here with "
                "--migration-on-error=guest-error: it goes on by paths");
        }
        log_.write(LogLevel::warn,
                   fmt::format("{}; its files are opened by their paths", error.describe()));
        forfeit_locks();
        return {};
    }

    /// The guest writes where it believes to have a lock. What it locked it must not touch any
    /// more.
    void forfeit_locks() {
        const auto& locks = state_.trailer->locks;
        for (const auto& lock : locks.posix) {
            forfeited_.insert(static_cast<std::uint64_t>(lock.node));
        }
        const std::set<HandleId> flocks{locks.flocks.begin(), locks.flocks.end()};
        for (const auto& handle : state_.handles) {
            if (flocks.count(handle.id) != 0) {
                forfeited_.insert(static_cast<std::uint64_t>(handle.node));
            }
        }
    }

    Result<void> connect() {
        VFSKIT_TRY_ASSIGN(const auto here, identify_share(inodes_, options_.host));
        VFSKIT_TRY(prove_same_host_and_share(state_.trailer->identity, here));
        if (!options_.connect) {
            return Error{ENOTSUP, "This daemon was not told to take descriptors"}.with_remedy(
                "Start the destination's daemon with --migration-mode=fd-passing, too");
        }
        VFSKIT_TRY_ASSIGN(auto source, options_.connect(*state_.trailer->offer));
        source_ = std::move(source);
        passed_ = std::make_unique<PassedFiles>(state_, *source_, inodes_);
        return {};
    }

    Result<void> load_locks() {
        if (!source_) {
            return {};
        }
        std::map<LockKey, std::vector<fuse::LockRange>> owners;
        for (const auto& lock : state_.trailer->locks.posix) {
            owners[{lock.node, lock.owner}].push_back({static_cast<off_t>(lock.start),
                                                       static_cast<off_t>(lock.end),
                                                       lock.is_exclusive ? F_WRLCK : F_RDLCK,
                                                       lock.pid});
        }
        std::vector<LockKey> keys;
        keys.reserve(owners.size());
        for (const auto& owner : owners) {
            keys.push_back(owner.first);
        }
        constexpr auto batch = DescriptorSource::usual_batch;
        for (std::size_t first = 0; first < keys.size(); first += batch) {
            const auto some = std::span{keys}.subspan(first, std::min(keys.size() - first, batch));
            VFSKIT_TRY_ASSIGN(auto fds, source_->fetch_lock_owners(some));
            for (std::size_t i = 0; i < some.size(); ++i) {
                VFSKIT_TRY(load_owner(some[i], std::move(fds[i]), owners[some[i]]));
            }
        }
        return {};
    }

    Result<void>
    load_owner(const LockKey& key, UniqueFd fd, const std::vector<fuse::LockRange>& ranges) {
        const auto adopted =
            filesystem_.locks().adopt(key.first, key.second, std::move(fd), ranges);
        if (!adopted) {
            return Error::from_errno(
                static_cast<int>(adopted.error()),
                fmt::format("The guest's locks on inode {} cannot be taken over",
                            static_cast<std::uint64_t>(key.first)));
        }
        return {};
    }

    // ---- where handles are opened
    void index_nameless() {
        if (state_.trailer) {
            for (const auto& file : state_.trailer->nameless) {
                nameless_.emplace(static_cast<std::uint64_t>(file.id), &file.handle);
            }
        }
    }

    /// A file without a name, by its handle: where the directory is surely the source's.
    Result<UniqueFd> open_nameless(const FileHandle& handle) {
        if (!proof_) {
            const auto here = identify_share(inodes_, options_.host);
            proof_ = here ? prove_same_share(state_.trailer->identity, *here)
                          : Result<void>{here.error()};
        }
        if (!*proof_) {
            return Error{ENOENT,
                         fmt::format("It has no name, and no file handle helps: {}",
                                     proof_->error().message())};
        }
        auto fd = open_by_handle(handle);
        if (!fd) {
            return std::move(fd).error().under("It has no name");
        }
        return fd;
    }

    /// Failures show when a handle of the mount is opened.
    void open_mounts() {
        const auto root = inodes_.find(NodeId::root);
        const auto root_fd = inodes_.fd_of(root);
        for (const auto& mount : state_.mounts) {
            const UniqueFd fd{std::max(open_below(root_fd.get(), mount.path), -1)};
            struct statx status {};
            if (!fd || passthrough::stat_fd(fd.get(), status) != 0 ||
                !passthrough::is_openable(status.stx_mode)) {
                continue;
            }
            // Handles cannot be opened with an O_PATH descriptor.
            mounts_[mount.mount_id].reset(::openat(inodes_.proc_self_fd(),
                                                   passthrough::FdName{fd.get()}.c_str(),
                                                   O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        }
    }

    // ---- inodes
    Result<void> load_inodes() {
        inodes_.reserve(state_.inodes.size());
        std::vector<std::size_t> files; // those that may stay unopened lead to no others
        for (const auto i : tree_.order) {
            if (unopened_.may_wait(i)) {
                files.push_back(i);
            } else {
                VFSKIT_TRY(load_inode(i));
            }
        }
        VFSKIT_TRY_ASSIGN(const auto rest, unopened_.take_over(files));
        for (const auto i : rest) {
            VFSKIT_TRY(load_inode(i));
        }
        return {};
    }

    Result<void> load_inode(std::size_t i) {
        const auto& inode = state_.inodes[i];
        auto loaded = inode.id == NodeId::root ? load_root(i) : load_other(i);
        if (loaded || inode.id == NodeId::root) {
            return loaded;
        }
        auto error = Error{loaded.error().code(),
                           fmt::format("Inode {}{} is not here: {}",
                                       static_cast<std::uint64_t>(inode.id),
                                       describe(i),
                                       loaded.error().message())};
        if (options_.on_error == OnError::abort) {
            return std::move(error).with_remedy(
                "Bring the shared directory on this host to the source's state, or start the "
                "daemon here with --migration-on-error=guest-error");
        }
        log_.write(LogLevel::warn, error.message() + "; the guest gets I/O errors for it");
        return keep_lost(i);
    }

    [[nodiscard]] std::string describe(std::size_t i) const {
        if (const auto* path = std::get_if<FullPathLocation>(&state_.inodes[i].location)) {
            return fmt::format(" ('{}')", path->path);
        }
        std::string path;
        for (auto at = i; at != InodeTree::none && !tree_.nodes[at].name.empty();
             at = tree_.nodes[at].parent) {
            path = path.empty() ? std::string{tree_.nodes[at].name}
                                : fmt::format("{}/{}", tree_.nodes[at].name, path);
            if (path.size() > PATH_MAX) {
                break;
            }
        }
        return path.empty() ? path : fmt::format(" ('{}')", path);
    }

    Result<void> keep_lost(std::size_t i) {
        const auto count = tree_.nodes[i].lookup_count;
        if (count == 0) {
            return {}; // its children will not be found either
        }
        if (const auto kept = inodes_.restore_lost(state_.inodes[i].id, count); !kept) {
            return Error::from_errno(static_cast<int>(kept.error()), "Cannot keep a lost inode");
        }
        return {};
    }

    Result<void> load_root(std::size_t i) {
        const auto root = inodes_.find(NodeId::root);
        const auto fd = inodes_.fd_of(root);
        const auto& expected = state_.inodes[i].verify_handle;
        if (expected && !expected->names_same_file(handle_of_fd(fd.get()))) {
            return Error{
                ESTALE, "The shared directory here is not the source's: its file handle is another"}
                .with_remedy("Do not use --migration-verify-handles with copies of a directory");
        }
        inodes_.set_root_lookup_count(tree_.nodes[i].lookup_count);
        return {};
    }

    /// Opens it and makes sure that it is the right one, as far as anybody said which that is.
    Result<UniqueFd> open_here(std::size_t i, struct statx& status) {
        VFSKIT_TRY_ASSIGN(auto fd, open_inode(i));
        const auto& inode = state_.inodes[i];
        if (inode.verify_handle && !inode.verify_handle->names_same_file(handle_of_fd(fd.get()))) {
            return Error{ESTALE, "Its file handle is another, so it is another file"};
        }
        if (const int error = passthrough::stat_fd(fd.get(), status); error != 0) {
            return Error::from_errno(-error, "It cannot be examined");
        }
        if (passed_ && !passed_->is_file(inode.id, status)) {
            return Error{ESTALE, "It is another file than at the source"};
        }
        return fd;
    }

    Result<void> load_other(std::size_t i) {
        if (forfeited_.count(static_cast<std::uint64_t>(state_.inodes[i].id)) != 0) {
            return Error{ENOLCK, "The guest held locks on it, which went with the source"};
        }
        struct statx status {};
        auto opened = open_here(i, status);
        if (!opened && passed_) {
            opened = passed_->open(state_.inodes[i].id, status);
        }
        VFSKIT_TRY_ASSIGN(auto fd, std::move(opened));
        const auto& inode = state_.inodes[i];
        if (tree_.nodes[i].lookup_count == 0) {
            helpers_[i] = std::move(fd);
            return {};
        }
        const auto restored = inodes_.restore(
            inode.id, tree_.nodes[i].lookup_count, std::move(fd), status, place_of(i));
        if (!restored) {
            return Error::from_errno(static_cast<int>(restored.error()), "It cannot be taken over");
        }
        if (std::holds_alternative<FileHandleLocation>(inode.location)) {
            by_handle_.push_back(inode.id);
        }
        return {};
    }

    [[nodiscard]] passthrough::FilePlace place_of(std::size_t i) const {
        const auto& node = tree_.nodes[i];
        if (node.parent == InodeTree::none) {
            return {};
        }
        return {state_.inodes[node.parent].id, node.name};
    }

    Result<UniqueFd> open_inode(std::size_t i) {
        if (tree_.nodes[i].is_found_by_place) {
            return open_by_place(i);
        }
        const auto& location = state_.inodes[i].location;
        if (const auto* path = std::get_if<FullPathLocation>(&location)) {
            const auto root = inodes_.find(NodeId::root);
            return opened(open_below(inodes_.fd_of(root).get(), path->path));
        }
        if (const auto* handle = std::get_if<FileHandleLocation>(&location)) {
            return open_by_handle(handle->handle);
        }
        const auto nameless = nameless_.find(static_cast<std::uint64_t>(state_.inodes[i].id));
        if (nameless != nameless_.end()) {
            return open_nameless(*nameless->second);
        }
        return Error{ENOENT, "The source could not say where it is"};
    }

    static Result<UniqueFd> opened(int fd) {
        if (fd < 0) {
            return Error::from_errno(-fd, "It cannot be opened");
        }
        return UniqueFd{fd};
    }

    Result<UniqueFd> open_by_place(std::size_t i) {
        const auto parent = tree_.nodes[i].parent;
        const std::string name{tree_.nodes[i].name};
        if (const auto helper = helpers_.find(parent); helper != helpers_.end()) {
            return opened(passthrough::open_entry(helper->second.get(), name.c_str()));
        }
        const auto directory = inodes_.find(state_.inodes[parent].id);
        if (!directory || directory->is_lost()) {
            return Error{ENOENT, "The directory it was in is not here"};
        }
        const auto fd = inodes_.fd_of(directory);
        return opened(fd.is_valid() ? passthrough::open_entry(fd.get(), name.c_str()) : fd.get());
    }

    Result<UniqueFd> open_by_handle(const FileHandle& saved) {
        const auto mount = mounts_.find(saved.mount_id);
        if (mount == mounts_.end() || !mount->second) {
            return Error{ENOENT, "The mount that its file handle belongs to is not here"};
        }
        HostFileHandle handle;
        handle.type = saved.type;
        handle.size = static_cast<std::uint8_t>(saved.bytes.size());
        std::copy(saved.bytes.begin(), saved.bytes.end(), handle.bytes.begin());
        const int fd = passthrough::open_file_handle(mount->second.get(), handle, O_PATH);
        if (fd == -EPERM) {
            return Error{EPERM, "File handles cannot be opened without CAP_DAC_READ_SEARCH"};
        }
        return opened(fd);
    }

    // ---- open files
    [[nodiscard]] std::unordered_map<std::uint64_t, std::uint32_t> guest_flags() const {
        std::unordered_map<std::uint64_t, std::uint32_t> flags;
        for (const auto& handle : state_.handles) {
            flags[static_cast<std::uint64_t>(handle.id)] =
                static_cast<std::uint32_t>(handle.open_flags);
        }
        if (state_.trailer) {
            for (const auto& own : state_.trailer->guest_flags) {
                flags[static_cast<std::uint64_t>(own.id)] = own.flags;
            }
        }
        return flags;
    }

    Result<std::vector<UniqueFd>> fetch_handles(std::span<const SavedHandle> handles) {
        if (!source_) {
            return std::vector<UniqueFd>(handles.size());
        }
        std::vector<HandleId> ids;
        ids.reserve(handles.size());
        for (const auto& handle : handles) {
            ids.push_back(handle.id);
        }
        return source_->fetch_handles(ids);
    }

    Result<void> load_handles() {
        const auto flags = guest_flags();
        std::unordered_set<std::uint64_t> flocks;
        if (source_) {
            for (const auto id : state_.trailer->locks.flocks) {
                flocks.insert(static_cast<std::uint64_t>(id));
            }
        }
        for (std::span rest{state_.handles}; !rest.empty();) {
            const auto some = rest.first(std::min(rest.size(), DescriptorSource::usual_batch));
            rest = rest.subspan(some.size());
            VFSKIT_TRY_ASSIGN(auto fds, fetch_handles(some));
            for (std::size_t i = 0; i < some.size(); ++i) {
                const auto id = static_cast<std::uint64_t>(some[i].id);
                VFSKIT_TRY(
                    load_handle(some[i], flags.at(id), std::move(fds[i]), flocks.count(id) != 0));
            }
        }
        return {};
    }

    Result<void>
    load_handle(const SavedHandle& handle, std::uint32_t guest, UniqueFd fd, bool has_flock) {
        const auto restored =
            fd ? filesystem_.adopt_handle(handle.id, handle.node, guest, std::move(fd), has_flock)
               : filesystem_.restore_handle(handle.id, handle.node, guest);
        if (restored && (!has_flock || fd_was_adopted(handle.id))) {
            return {};
        }
        auto error = Error::from_errno(restored ? ENOLCK : static_cast<int>(restored.error()),
                                       fmt::format("Open file {} of inode {} cannot be opened here",
                                                   static_cast<std::uint64_t>(handle.id),
                                                   static_cast<std::uint64_t>(handle.node)));
        if (options_.on_error == OnError::abort || has_flock) {
            return std::move(error).with_remedy(
                "Make the file accessible on this host as on the source, or start the daemon "
                "here with --migration-on-error=guest-error");
        }
        log_.write(LogLevel::warn, error.message() + "; the guest gets I/O errors for it");
        (void)filesystem_.restore_lost_handle(handle.id, handle.node, guest);
        return {};
    }

    bool fd_was_adopted(HandleId id) {
        const auto handle = filesystem_.handles().find(id);
        return handle && handle->has_flock;
    }

    const State& state_;
    const InodeTree& tree_;
    PassthroughFs& filesystem_;
    InodeStore& inodes_;
    UnopenedFiles& unopened_;
    const LoadOptions& options_;
    LogSink& log_;

    std::unordered_map<std::uint64_t, UniqueFd> mounts_;
    /// Directories that only lead to others, by position.
    std::unordered_map<std::size_t, UniqueFd> helpers_;
    std::vector<NodeId> by_handle_;
    std::unordered_map<std::uint64_t, const FileHandle*> nameless_;
    std::optional<Result<void>> proof_;
    std::unique_ptr<DescriptorSource> source_;
    std::unique_ptr<PassedFiles> passed_;
    std::unordered_set<std::uint64_t> forfeited_; ///< inodes whose locks are lost
};

/// What is needed until the last record has been made. Borrows from itself.
struct Arriving {
    State state;
    InodeTree tree;
    std::optional<UnopenedFiles> unopened;
};

/// Few are made sooner than a thread is.
void make_rest(std::shared_ptr<Arriving> arriving, InodeStore& inodes) {
    constexpr std::size_t worth_a_thread = 2048;
    if (arriving->unopened->rest() < worth_a_thread) {
        arriving->unopened->make_rest();
    } else {
        inodes.restore_later([arriving = std::move(arriving)] { arriving->unopened->make_rest(); });
    }
}

} // namespace

Result<NegotiatedState>
load(State taken, PassthroughFs& filesystem, const LoadOptions& options, LogSink& log) {
    const auto arriving = std::make_shared<Arriving>();
    arriving->state = std::move(taken);
    const auto& state = arriving->state;
    VFSKIT_TRY_ASSIGN(arriving->tree, InodeTree::make(state));
    VFSKIT_TRY_ASSIGN(const auto negotiated, negotiated_of(state, options.offered));
    if (state.options.announce_submounts && !options.announces_submounts && !state.inodes.empty()) {
        return Error{ENOTSUP, "The source shows its guest submounts, which this daemon does not do"}
            .with_remedy("Start virtiofsd on the destination with --announce-submounts as on the "
                         "source");
    }
    filesystem.destroy();
    filesystem.init(negotiated); // open files are opened by its rules
    auto& unopened =
        arriving->unopened.emplace(state, arriving->tree, filesystem.inodes(), options.host);
    Loader loader{state, arriving->tree, filesystem, unopened, options, log};
    if (auto loaded = loader.load(); !loaded) {
        filesystem.destroy();
        filesystem.init({});
        return std::move(loaded).error();
    }
    make_rest(arriving, filesystem.inodes());
    return negotiated;
}

} // namespace vfskit::device_state

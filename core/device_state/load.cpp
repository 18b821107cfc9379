// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/load.h"

#include "core/device_state/inode_tree.h"
#include "core/device_state/paths.h"
#include "core/passthrough/host_calls.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <utility>

namespace vfskit::device_state {

using fuse::NegotiatedState;
using passthrough::HostFileHandle;
using passthrough::InodeStore;
using passthrough::PassthroughFs;

namespace {

using namespace fuse::wire;

// ---- what was negotiated
// -------------------------------------------------------------------------

struct Promise {
    std::uint64_t flag;
    std::string_view name;
    std::string_view option;
};

/// What the guest relies on and we do only if told to.
constexpr std::array promises{
    Promise{FUSE_WRITEBACK_CACHE, "writeback caching", "--writeback"},
    Promise{FUSE_POSIX_ACL, "POSIX ACLs", "--posix-acl"},
    Promise{FUSE_SECURITY_CTX, "security labels", "--security-label"},
    Promise{FUSE_POSIX_LOCKS, "fcntl locks on the host", "--posix-lock"},
    Promise{FUSE_FLOCK_LOCKS, "flock locks on the host", "--flock"},
};

/// Flags of features that this code knows at all; what a newer daemon negotiated is not among them.
constexpr std::uint64_t known_flags =
    FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |
    FUSE_FLOCK_LOCKS | FUSE_HAS_IOCTL_DIR | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
    FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_WRITEBACK_CACHE | FUSE_PARALLEL_DIROPS |
    FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |
    FUSE_INIT_EXT | FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP | FUSE_DIRECT_IO_ALLOW_MMAP |
    FUSE_ALLOW_IDMAP;

Error refuse_promise(const Promise& promise) {
    return Error{
        ENOTSUP,
        fmt::format("The source's guest relies on {}, which this daemon does not do", promise.name)}
        .with_remedy(fmt::format("Start virtiofsd on the destination with {} as on the source",
                                 promise.option));
}

Result<NegotiatedState> check(const NegotiatedState& wanted, const NegotiatedState& offered) {
    for (const auto& promise : promises) {
        if (wanted.has(promise.flag) && !offered.has(promise.flag)) {
            return refuse_promise(promise);
        }
    }
    if ((wanted.flags & ~known_flags) != 0) {
        return Error{ENOTSUP,
                     fmt::format("The source's guest uses FUSE features that this version does not "
                                 "know (flags {:#x})",
                                 wanted.flags & ~known_flags)}
            .with_remedy("Update virtiofsd on the destination to the source's version");
    }
    if (wanted.max_write > offered.max_write || wanted.max_pages > offered.max_pages) {
        return Error{
            ENOTSUP,
            fmt::format(
                "The source's guest sends requests of up to {} bytes, more than this version takes",
                wanted.max_write)}
            .with_remedy("Update virtiofsd on the destination to the source's version");
    }
    return wanted;
}

/// Upstream sends four of its options and nothing else. The rest is what its options make it agree
/// on with any guest; where they differ from ours, ours count, for mixed clusters give both daemons
/// the same. Host locks it never does.
NegotiatedState assume(const SavedOptions& saved, const NegotiatedState& offered) {
    constexpr std::uint64_t acl_flags = FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;
    constexpr std::uint32_t upstream_minor = 38;
    auto state = offered;
    state.minor = upstream_minor;
    state.flags &= ~(FUSE_WRITEBACK_CACHE | acl_flags | FUSE_CREATE_SUPP_GROUP | FUSE_POSIX_LOCKS |
                     FUSE_FLOCK_LOCKS);
    state.flags |= saved.writeback ? FUSE_WRITEBACK_CACHE : 0;
    state.flags |= saved.posix_acl ? acl_flags : 0;
    state.flags |= saved.supplementary_groups ? FUSE_CREATE_SUPP_GROUP : 0;
    return state;
}

Result<NegotiatedState> negotiated_of(const State& state, const NegotiatedState& offered) {
    if (state.trailer) {
        return check(state.trailer->negotiated, offered);
    }
    if (state.inodes.empty()) {
        return NegotiatedState{}; // the guest has not mounted
    }
    return check(assume(state.options, offered), offered);
}

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
           const LoadOptions& options,
           LogSink& log)
        : state_{state}, tree_{tree},
          filesystem_{filesystem}, inodes_{filesystem.inodes()}, options_{options}, log_{log} {}

    Result<void> load() {
        VFSKIT_TRY(prove_share());
        open_mounts();
        for (const auto i : tree_.order) {
            VFSKIT_TRY(load_inode(i));
        }
        if (!state_.trailer && !by_handle_.empty()) {
            VFSKIT_TRY(prove_loaded_below_root(inodes_, by_handle_));
        }
        inodes_.raise_next_id(state_.next_inode);
        VFSKIT_TRY(load_handles());
        filesystem_.handles().raise_next_id(state_.next_handle);
        return {};
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

    Result<void> load_other(std::size_t i) {
        VFSKIT_TRY_ASSIGN(auto fd, open_inode(i));
        const auto& inode = state_.inodes[i];
        if (inode.verify_handle && !inode.verify_handle->names_same_file(handle_of_fd(fd.get()))) {
            return Error{ESTALE, "Its file handle is another, so it is another file"};
        }
        struct statx status {};
        if (const int error = passthrough::stat_fd(fd.get(), status); error != 0) {
            return Error::from_errno(-error, "It cannot be examined");
        }
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

    Result<void> load_handles() {
        const auto flags = guest_flags();
        for (const auto& handle : state_.handles) {
            const auto guest = flags.at(static_cast<std::uint64_t>(handle.id));
            const auto restored = filesystem_.restore_handle(handle.id, handle.node, guest);
            if (restored) {
                continue;
            }
            auto error =
                Error::from_errno(static_cast<int>(restored.error()),
                                  fmt::format("Open file {} of inode {} cannot be opened here",
                                              static_cast<std::uint64_t>(handle.id),
                                              static_cast<std::uint64_t>(handle.node)));
            if (options_.on_error == OnError::abort) {
                return std::move(error).with_remedy(
                    "Make the file accessible on this host as on the source, or start the daemon "
                    "here with --migration-on-error=guest-error");
            }
            log_.write(LogLevel::warn, error.message() + "; the guest gets I/O errors for it");
            (void)filesystem_.restore_lost_handle(handle.id, handle.node, guest);
        }
        return {};
    }

    const State& state_;
    const InodeTree& tree_;
    PassthroughFs& filesystem_;
    InodeStore& inodes_;
    const LoadOptions& options_;
    LogSink& log_;

    std::unordered_map<std::uint64_t, UniqueFd> mounts_;
    /// Directories that only lead to others, by position.
    std::unordered_map<std::size_t, UniqueFd> helpers_;
    std::vector<NodeId> by_handle_;
};

} // namespace

Result<NegotiatedState>
load(const State& state, PassthroughFs& filesystem, const LoadOptions& options, LogSink& log) {
    VFSKIT_TRY_ASSIGN(const auto tree, InodeTree::make(state));
    VFSKIT_TRY_ASSIGN(const auto negotiated, negotiated_of(state, options.offered));
    filesystem.destroy();
    filesystem.init(negotiated); // open files are opened by its rules
    if (auto loaded = Loader{state, tree, filesystem, options, log}.load(); !loaded) {
        filesystem.destroy();
        filesystem.init({});
        return std::move(loaded).error();
    }
    return negotiated;
}

} // namespace vfskit::device_state

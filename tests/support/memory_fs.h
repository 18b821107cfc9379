// SPDX-License-Identifier: Apache-2.0
// A Filesystem in memory: works, small, single lock. For tests, fuzzing and the overhead benchmark.
#pragma once

#include "core/fuse/filesystem.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace vfskit::fuse {

class MemoryFs : public Filesystem {
public:
    MemoryFs();

    std::unique_ptr<Worker> make_worker() override;
    void init(const NegotiatedState& negotiated) override;
    void destroy() override;
    [[nodiscard]] Gauges gauges() const override;

    Outcome<Entry> lookup(Context& ctx, NodeId parent, Name name) override;
    void forget(Context& ctx, NodeId node, std::uint64_t count) override;
    Outcome<wire::Attr> getattr(Context& ctx, NodeId node, std::optional<HandleId> handle) override;
    Outcome<wire::Statx> statx(Context& ctx,
                               NodeId node,
                               std::optional<HandleId> handle,
                               std::uint32_t flags,
                               std::uint32_t mask) override;
    Outcome<wire::Attr> setattr(Context& ctx, NodeId node, const AttrChanges& changes) override;
    Outcome<std::size_t> readlink(Context& ctx, NodeId node, std::span<char> out) override;
    Outcome<void> access(Context& ctx, NodeId node, std::uint32_t mask) override;
    Outcome<wire::Kstatfs> statfs(Context& ctx, NodeId node) override;

    Outcome<Entry> symlink(Context& ctx, NodeId parent, Name name, CString target) override;
    Outcome<Entry>
    mknod(Context& ctx, NodeId parent, Name name, mode_t mode, std::uint32_t rdev) override;
    Outcome<Entry> mkdir(Context& ctx, NodeId parent, Name name, mode_t mode) override;
    Outcome<void> unlink(Context& ctx, NodeId parent, Name name) override;
    Outcome<void> rmdir(Context& ctx, NodeId parent, Name name) override;
    Outcome<void> rename(Context& ctx,
                         NodeId old_parent,
                         Name old_name,
                         NodeId new_parent,
                         Name new_name,
                         std::uint32_t flags) override;
    Outcome<Entry> link(Context& ctx, NodeId target, NodeId new_parent, Name new_name) override;

    Outcome<Opened> open(Context& ctx, NodeId node, const OpenArgs& args) override;
    Outcome<Created>
    create(Context& ctx, NodeId parent, Name name, const CreateArgs& args) override;
    Outcome<Created> tmpfile(Context& ctx, NodeId parent, const CreateArgs& args) override;
    Outcome<std::size_t>
    read(Context& ctx, NodeId node, const ReadArgs& args, std::span<const iovec> data) override;
    Outcome<std::size_t>
    write(Context& ctx, NodeId node, const WriteArgs& args, std::span<const iovec> data) override;
    Outcome<void> flush(Context& ctx, NodeId node, HandleId handle, LockOwner owner) override;
    Outcome<void> release(Context& ctx, NodeId node, const ReleaseArgs& args) override;
    Outcome<void> fsync(Context& ctx, NodeId node, HandleId handle, bool data_only) override;
    Outcome<void> fallocate(Context& ctx, NodeId node, const FallocateArgs& args) override;
    Outcome<off_t>
    lseek(Context& ctx, NodeId node, HandleId handle, off_t offset, std::uint32_t whence) override;
    Outcome<std::size_t>
    copy_file_range(Context& ctx, NodeId node, const CopyFileRangeArgs& args) override;
    /// Knows one command, echo_command, which returns its input reversed in bits.
    Outcome<IoctlResult> ioctl(Context& ctx, NodeId node, const IoctlArgs& args) override;
    Outcome<void> syncfs(Context& ctx, NodeId node) override;

    Outcome<Opened> opendir(Context& ctx, NodeId node, const OpenArgs& args) override;
    Outcome<void> readdir(
        Context& ctx, NodeId node, HandleId handle, std::uint64_t offset, DirBuffer& out) override;
    Outcome<void> releasedir(Context& ctx, NodeId node, const ReleaseArgs& args) override;
    Outcome<void> fsyncdir(Context& ctx, NodeId node, HandleId handle, bool data_only) override;

    Outcome<std::size_t>
    getxattr(Context& ctx, NodeId node, CString name, std::span<std::byte> out) override;
    Outcome<std::size_t> listxattr(Context& ctx, NodeId node, std::span<std::byte> out) override;
    Outcome<void>
    setxattr(Context& ctx, NodeId node, CString name, const XattrChange& change) override;
    Outcome<void> removexattr(Context& ctx, NodeId node, CString name) override;

    /// One exclusive lock per node, whatever the range: enough to wait for.
    Outcome<LockRange> getlk(Context& ctx, NodeId node, const LockArgs& args) override;
    Outcome<void> setlk(Context& ctx, NodeId node, const LockArgs& args) override;
    Outcome<LockState>
    setlkw(Context& ctx, NodeId node, const LockArgs& args, Deferral& deferral) override;
    void interrupt(Context& ctx, Unique unique) override;
    void cancel_parked(Errno reason) override;

    static constexpr std::uint32_t echo_command = 0xc0046601;
    static constexpr std::size_t max_file_size = std::size_t{16} << 20;

    /// What the last create request carried, for tests.
    struct Creation {
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
        mode_t umask = 0;
        std::vector<std::uint32_t> groups;
        std::string label_name;
        std::string label_value;
    };
    [[nodiscard]] Creation last_creation() const;
    [[nodiscard]] std::uint64_t lookup_count(NodeId node) const;
    [[nodiscard]] NegotiatedState negotiated() const;
    [[nodiscard]] bool last_setxattr_kills_sgid() const;
    [[nodiscard]] std::size_t parked_count() const;

private:
    struct Node {
        wire::Attr attr{};
        std::string content; ///< of a file, or the target of a link
        std::map<std::string, NodeId> children;
        std::map<std::string, std::string> xattrs;
        std::uint64_t lookup_count = 0;
        std::optional<LockOwner> lock_holder;
    };
    struct Parked {
        NodeId node{};
        LockOwner owner{};
        std::uint64_t unique = 0;
        std::unique_ptr<Deferred> deferred;
    };

    Outcome<Node*> find(NodeId id);
    Outcome<Node*> find_directory(NodeId id);
    Outcome<NodeId> find_child(NodeId parent, Name name);
    Outcome<void> check_handle(HandleId handle, NodeId node) const;
    Entry hand_out(NodeId id, Node& node);
    NodeId add_node(const Context& ctx, mode_t mode);
    Outcome<Entry> make_child(const Context& ctx, NodeId parent, Name name, mode_t mode);
    void remove_link(NodeId id);
    void drop_if_unused(NodeId id);
    HandleId add_handle(NodeId node);
    void unlock(NodeId id, LockOwner owner);
    Outcome<void> drop_handle(HandleId handle, NodeId node);
    void reset_tree();

    mutable std::mutex mutex_;
    std::map<NodeId, Node> nodes_;
    std::map<HandleId, NodeId> handles_;
    std::vector<Parked> parked_;
    std::uint64_t next_node_ = 2;
    std::uint64_t next_handle_ = 0;
    Creation last_creation_;
    NegotiatedState negotiated_;
    bool last_setxattr_kills_sgid_ = false;
};

} // namespace vfskit::fuse

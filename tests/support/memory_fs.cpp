// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_fs.h"

#include "core/base/result.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace vfskit::fuse {

namespace {

std::string to_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Outcome<std::size_t> copy_out(std::string_view text, std::span<std::byte> out) {
    if (out.empty()) {
        return text.size();
    }
    if (text.size() > out.size()) {
        return Errno{ERANGE};
    }
    if (!text.empty()) {
        std::memcpy(out.data(), text.data(), text.size());
    }
    return text.size();
}

} // namespace

MemoryFs::MemoryFs() {
    reset_tree();
}

void MemoryFs::reset_tree() {
    nodes_.clear();
    handles_.clear();
    auto& root = nodes_[NodeId::root];
    root.attr.ino = wire::FUSE_ROOT_ID;
    root.attr.mode = S_IFDIR | 0755;
    root.attr.nlink = 2;
    root.lookup_count = 1;
}

std::unique_ptr<Worker> MemoryFs::make_worker() {
    return std::make_unique<Worker>();
}

void MemoryFs::init(const NegotiatedState& negotiated) {
    const std::lock_guard lock{mutex_};
    negotiated_ = negotiated;
}

void MemoryFs::destroy() {
    cancel_parked(Errno{ENOLCK});
    const std::lock_guard lock{mutex_};
    reset_tree();
}

Gauges MemoryFs::gauges() const {
    const std::lock_guard lock{mutex_};
    return {.inodes = nodes_.size(), .handles = handles_.size(), .fds = 0, .fd_budget = 0};
}

Outcome<MemoryFs::Node*> MemoryFs::find(NodeId id) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) {
        return Errno{EBADF};
    }
    return &found->second;
}

Outcome<MemoryFs::Node*> MemoryFs::find_directory(NodeId id) {
    VFSKIT_TRY_ASSIGN(auto* node, find(id));
    if (!S_ISDIR(node->attr.mode)) {
        return Errno{ENOTDIR};
    }
    return node;
}

Outcome<NodeId> MemoryFs::find_child(NodeId parent, Name name) {
    VFSKIT_TRY_ASSIGN(auto* directory, find_directory(parent));
    const auto found = directory->children.find(std::string{name.view()});
    if (found == directory->children.end()) {
        return Errno{ENOENT};
    }
    return found->second;
}

Outcome<void> MemoryFs::check_handle(HandleId handle, NodeId node) const {
    const auto found = handles_.find(handle);
    if (found == handles_.end() || found->second != node) {
        return Errno{EBADF};
    }
    return {};
}

Entry MemoryFs::hand_out(NodeId id, Node& node) {
    ++node.lookup_count;
    return {.node = id, .generation = 0, .attr = node.attr};
}

NodeId MemoryFs::add_node(const Context& ctx, mode_t mode) {
    last_creation_ = {.uid = static_cast<std::uint32_t>(ctx.uid),
                      .gid = static_cast<std::uint32_t>(ctx.gid),
                      .umask = ctx.umask,
                      .groups = {},
                      .label_name = {},
                      .label_value = {}};
    for (const auto group : ctx.supplementary_groups) {
        last_creation_.groups.push_back(static_cast<std::uint32_t>(group));
    }
    if (ctx.security_context) {
        last_creation_.label_name = ctx.security_context->name.view();
        last_creation_.label_value = to_text(ctx.security_context->value);
    }
    const NodeId id{next_node_++};
    auto& node = nodes_[id];
    node.attr.ino = static_cast<std::uint64_t>(id);
    node.attr.mode = mode;
    node.attr.uid = last_creation_.uid;
    node.attr.gid = last_creation_.gid;
    node.attr.nlink = 1;
    node.attr.blksize = 4096;
    return id;
}

Outcome<Entry> MemoryFs::make_child(const Context& ctx, NodeId parent, Name name, mode_t mode) {
    const auto existing = find_child(parent, name);
    if (existing) {
        return Errno{EEXIST};
    }
    if (existing.error() != Errno{ENOENT}) {
        return existing.error();
    }
    const auto id = add_node(ctx, mode);
    nodes_[parent].children.emplace(name.view(), id);
    return hand_out(id, nodes_[id]);
}

void MemoryFs::drop_if_unused(NodeId id) {
    const auto found = nodes_.find(id);
    if (found != nodes_.end() && id != NodeId::root && found->second.attr.nlink == 0 &&
        found->second.lookup_count == 0) {
        nodes_.erase(found);
    }
}

void MemoryFs::remove_link(NodeId id) {
    --nodes_[id].attr.nlink;
    drop_if_unused(id);
}

HandleId MemoryFs::add_handle(NodeId node) {
    const HandleId handle{next_handle_++};
    handles_[handle] = node;
    return handle;
}

Outcome<Entry> MemoryFs::lookup(Context&, NodeId parent, Name name) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto id, find_child(parent, name));
    return hand_out(id, nodes_[id]);
}

void MemoryFs::forget(Context&, NodeId node, std::uint64_t count) {
    const std::lock_guard lock{mutex_};
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) {
        return;
    }
    auto& held = found->second.lookup_count;
    held -= std::min(held, count);
    drop_if_unused(node);
}

Outcome<wire::Attr> MemoryFs::getattr(Context&, NodeId node, std::optional<HandleId>) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    return found->attr;
}

Outcome<wire::Statx>
MemoryFs::statx(Context&, NodeId node, std::optional<HandleId>, std::uint32_t, std::uint32_t mask) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    wire::Statx stat{};
    stat.mask = mask;
    stat.ino = found->attr.ino;
    stat.size = found->attr.size;
    stat.mode = static_cast<std::uint16_t>(found->attr.mode);
    return stat;
}

Outcome<wire::Attr> MemoryFs::setattr(Context&, NodeId node, const AttrChanges& changes) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    auto& attr = found->attr;
    if (changes.mode) {
        attr.mode = (attr.mode & S_IFMT) | (*changes.mode & 07777);
    }
    if (changes.uid) {
        attr.uid = static_cast<std::uint32_t>(*changes.uid);
    }
    if (changes.gid) {
        attr.gid = static_cast<std::uint32_t>(*changes.gid);
    }
    if (changes.size) {
        if (!S_ISREG(attr.mode)) {
            return Errno{EINVAL};
        }
        if (static_cast<std::size_t>(*changes.size) > max_file_size) {
            return Errno{EFBIG};
        }
        found->content.resize(static_cast<std::size_t>(*changes.size));
        attr.size = found->content.size();
    }
    if (changes.mtime && !changes.mtime->is_now) {
        attr.mtime = static_cast<std::uint64_t>(changes.mtime->value.tv_sec);
        attr.mtimensec = static_cast<std::uint32_t>(changes.mtime->value.tv_nsec);
    }
    return attr;
}

Outcome<std::size_t> MemoryFs::readlink(Context&, NodeId node, std::span<char> out) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    if (!S_ISLNK(found->attr.mode)) {
        return Errno{EINVAL};
    }
    return copy_out(found->content, std::as_writable_bytes(out));
}

Outcome<void> MemoryFs::access(Context&, NodeId node, std::uint32_t) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find(node));
    return {};
}

Outcome<wire::Kstatfs> MemoryFs::statfs(Context&, NodeId node) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find(node));
    wire::Kstatfs st{};
    st.bsize = 4096;
    st.files = nodes_.size();
    st.namelen = Name::max_size;
    return st;
}

Outcome<Entry> MemoryFs::symlink(Context& ctx, NodeId parent, Name name, CString target) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto entry, make_child(ctx, parent, name, S_IFLNK | 0777));
    auto& node = nodes_[entry.node];
    node.content = target.view();
    node.attr.size = entry.attr.size = node.content.size();
    return entry;
}

Outcome<Entry>
MemoryFs::mknod(Context& ctx, NodeId parent, Name name, mode_t mode, std::uint32_t rdev) {
    const std::lock_guard lock{mutex_};
    const auto with_type = (mode & S_IFMT) == 0 ? mode | S_IFREG : mode;
    if (S_ISDIR(with_type) || S_ISLNK(with_type)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(auto entry, make_child(ctx, parent, name, with_type));
    nodes_[entry.node].attr.rdev = entry.attr.rdev = rdev;
    return entry;
}

Outcome<Entry> MemoryFs::mkdir(Context& ctx, NodeId parent, Name name, mode_t mode) {
    const std::lock_guard lock{mutex_};
    return make_child(ctx, parent, name, S_IFDIR | (mode & 07777));
}

Outcome<void> MemoryFs::unlink(Context&, NodeId parent, Name name) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto id, find_child(parent, name));
    if (S_ISDIR(nodes_[id].attr.mode)) {
        return Errno{EISDIR};
    }
    nodes_[parent].children.erase(std::string{name.view()});
    remove_link(id);
    return {};
}

Outcome<void> MemoryFs::rmdir(Context&, NodeId parent, Name name) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto id, find_child(parent, name));
    if (!S_ISDIR(nodes_[id].attr.mode)) {
        return Errno{ENOTDIR};
    }
    if (!nodes_[id].children.empty()) {
        return Errno{ENOTEMPTY};
    }
    nodes_[parent].children.erase(std::string{name.view()});
    remove_link(id);
    return {};
}

Outcome<void> MemoryFs::rename(Context&,
                               NodeId old_parent,
                               Name old_name,
                               NodeId new_parent,
                               Name new_name,
                               std::uint32_t flags) {
    const std::lock_guard lock{mutex_};
    if (flags != 0 && flags != RENAME_NOREPLACE) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto moved, find_child(old_parent, old_name));
    VFSKIT_TRY_ASSIGN(auto* target_directory, find_directory(new_parent));
    if (const auto target = find_child(new_parent, new_name)) {
        if (flags == RENAME_NOREPLACE) {
            return Errno{EEXIST};
        }
        if (*target == moved) {
            return {};
        }
        if (!nodes_[*target].children.empty()) {
            return Errno{ENOTEMPTY};
        }
        target_directory->children.erase(std::string{new_name.view()});
        remove_link(*target);
    }
    VFSKIT_TRY_ASSIGN(auto* source_directory, find_directory(old_parent));
    source_directory->children.erase(std::string{old_name.view()});
    VFSKIT_TRY_ASSIGN(target_directory, find_directory(new_parent));
    target_directory->children[std::string{new_name.view()}] = moved;
    return {};
}

Outcome<Entry> MemoryFs::link(Context&, NodeId target, NodeId new_parent, Name new_name) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* node, find(target));
    if (S_ISDIR(node->attr.mode)) {
        return Errno{EPERM};
    }
    VFSKIT_TRY_ASSIGN(auto* directory, find_directory(new_parent));
    if (!directory->children.emplace(new_name.view(), target).second) {
        return Errno{EEXIST};
    }
    ++node->attr.nlink;
    return hand_out(target, *node);
}

Outcome<Opened> MemoryFs::open(Context&, NodeId node, const OpenArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    if (!S_ISREG(found->attr.mode)) {
        return Errno{EBADF};
    }
    if ((args.flags & O_TRUNC) != 0) {
        found->content.clear();
        found->attr.size = 0;
    }
    return Opened{.handle = add_handle(node), .open_flags = 0};
}

Outcome<Created> MemoryFs::create(Context& ctx, NodeId parent, Name name, const CreateArgs& args) {
    const std::lock_guard lock{mutex_};
    if (const auto existing = find_child(parent, name)) {
        auto& node = nodes_[*existing];
        if ((args.flags & O_EXCL) != 0) {
            return Errno{EEXIST};
        }
        if (!S_ISREG(node.attr.mode)) {
            return Errno{EISDIR};
        }
        const auto entry = hand_out(*existing, node);
        return Created{.entry = entry, .opened = {.handle = add_handle(*existing)}};
    }
    VFSKIT_TRY_ASSIGN(const auto entry,
                      make_child(ctx, parent, name, S_IFREG | (args.mode & 07777)));
    return Created{.entry = entry, .opened = {.handle = add_handle(entry.node)}};
}

Outcome<Created> MemoryFs::tmpfile(Context& ctx, NodeId parent, const CreateArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find_directory(parent));
    const auto id = add_node(ctx, S_IFREG | (args.mode & 07777));
    auto& node = nodes_[id];
    node.attr.nlink = 0;
    const auto entry = hand_out(id, node);
    return Created{.entry = entry, .opened = {.handle = add_handle(id)}};
}

Outcome<std::size_t>
MemoryFs::read(Context&, NodeId node, const ReadArgs& args, std::span<const iovec> data) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(args.handle, node));
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    std::size_t done = 0;
    for (const auto& part : data) {
        const auto at = static_cast<std::size_t>(args.offset) + done;
        if (at >= found->content.size()) {
            break;
        }
        const auto step = std::min(part.iov_len, found->content.size() - at);
        if (step > 0) {
            std::memcpy(part.iov_base, found->content.data() + at, step);
        }
        done += step;
    }
    return done;
}

Outcome<std::size_t>
MemoryFs::write(Context&, NodeId node, const WriteArgs& args, std::span<const iovec> data) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(args.handle, node));
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    std::size_t done = 0;
    for (const auto& part : data) {
        const auto at = static_cast<std::size_t>(args.offset) + done;
        if (at > max_file_size || part.iov_len > max_file_size - at) {
            return done > 0 ? Outcome<std::size_t>{done} : Errno{EFBIG};
        }
        if (at + part.iov_len > found->content.size()) {
            found->content.resize(at + part.iov_len);
        }
        if (part.iov_len > 0) {
            std::memcpy(found->content.data() + at, part.iov_base, part.iov_len);
        }
        done += part.iov_len;
    }
    found->attr.size = found->content.size();
    return done;
}

Outcome<void> MemoryFs::flush(Context&, NodeId node, HandleId handle, LockOwner) {
    const std::lock_guard lock{mutex_};
    return check_handle(handle, node);
}

Outcome<void> MemoryFs::drop_handle(HandleId handle, NodeId node) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(handle, node));
    handles_.erase(handle);
    return {};
}

Outcome<void> MemoryFs::release(Context&, NodeId node, const ReleaseArgs& args) {
    return drop_handle(args.handle, node);
}

Outcome<void> MemoryFs::fsync(Context&, NodeId node, HandleId handle, bool) {
    const std::lock_guard lock{mutex_};
    return check_handle(handle, node);
}

Outcome<void> MemoryFs::fallocate(Context&, NodeId node, const FallocateArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(args.handle, node));
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    if (static_cast<std::size_t>(args.offset) > max_file_size ||
        static_cast<std::size_t>(args.length) >
            max_file_size - static_cast<std::size_t>(args.offset)) {
        return Errno{EFBIG};
    }
    const auto end = static_cast<std::size_t>(args.offset + args.length);
    if (end > found->content.size()) {
        found->content.resize(end);
        found->attr.size = end;
    }
    return {};
}

Outcome<off_t>
MemoryFs::lseek(Context&, NodeId node, HandleId handle, off_t offset, std::uint32_t whence) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(handle, node));
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    const auto size = static_cast<off_t>(found->content.size());
    if (offset >= size) {
        return Errno{ENXIO};
    }
    return whence == SEEK_DATA ? offset : size;
}

Outcome<std::size_t>
MemoryFs::copy_file_range(Context&, NodeId node, const CopyFileRangeArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(args.handle_in, node));
    VFSKIT_TRY(check_handle(args.handle_out, args.node_out));
    VFSKIT_TRY_ASSIGN(const auto* source, find(node));
    VFSKIT_TRY_ASSIGN(auto* target, find(args.node_out));
    const auto from = static_cast<std::size_t>(args.offset_in);
    const auto to = static_cast<std::size_t>(args.offset_out);
    if (from >= source->content.size()) {
        return std::size_t{0};
    }
    const auto part = source->content.substr(from, args.length);
    if (to > max_file_size || part.size() > max_file_size - to) {
        return Errno{EFBIG};
    }
    target->content.resize(std::max(target->content.size(), to + part.size()));
    target->content.replace(to, part.size(), part);
    target->attr.size = target->content.size();
    return part.size();
}

Outcome<IoctlResult> MemoryFs::ioctl(Context&, NodeId node, const IoctlArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find(node));
    if (args.command != echo_command) {
        return Errno{ENOTTY};
    }
    const auto size = std::min(args.in.size(), args.out.size());
    for (std::size_t i = 0; i < size; ++i) {
        args.out[i] = ~args.in[i];
    }
    return IoctlResult{.result = 7, .out_size = size};
}

Outcome<void> MemoryFs::syncfs(Context&, NodeId node) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find(node));
    return {};
}

Outcome<Opened> MemoryFs::opendir(Context&, NodeId node, const OpenArgs&) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(find_directory(node));
    return Opened{.handle = add_handle(node), .open_flags = 0};
}

Outcome<void>
MemoryFs::readdir(Context&, NodeId node, HandleId handle, std::uint64_t offset, DirBuffer& out) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY(check_handle(handle, node));
    VFSKIT_TRY_ASSIGN(auto* directory, find_directory(node));
    std::uint64_t position = 0;
    for (const auto& [name, id] : directory->children) {
        if (position++ < offset) {
            continue;
        }
        auto& child = nodes_[id];
        const DirEntry entry{.ino = child.attr.ino,
                             .type = IFTODT(child.attr.mode),
                             .next_offset = position,
                             .name = name};
        if (!out.has_room_for(name.size())) {
            break;
        }
        if (out.is_plus()) {
            out.add(entry, hand_out(id, child));
        } else {
            out.add(entry);
        }
    }
    return {};
}

Outcome<void> MemoryFs::releasedir(Context&, NodeId node, const ReleaseArgs& args) {
    return drop_handle(args.handle, node);
}

Outcome<void> MemoryFs::fsyncdir(Context&, NodeId node, HandleId handle, bool) {
    const std::lock_guard lock{mutex_};
    return check_handle(handle, node);
}

Outcome<std::size_t>
MemoryFs::getxattr(Context&, NodeId node, CString name, std::span<std::byte> out) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    const auto value = found->xattrs.find(std::string{name.view()});
    if (value == found->xattrs.end()) {
        return Errno{ENODATA};
    }
    return copy_out(value->second, out);
}

Outcome<std::size_t> MemoryFs::listxattr(Context&, NodeId node, std::span<std::byte> out) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    std::string names;
    for (const auto& [name, value] : found->xattrs) {
        names.append(name).push_back('\0');
    }
    return copy_out(names, out);
}

Outcome<void> MemoryFs::setxattr(Context&, NodeId node, CString name, const XattrChange& change) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    const bool exists = found->xattrs.count(std::string{name.view()}) > 0;
    if (change.flags == XATTR_CREATE && exists) {
        return Errno{EEXIST};
    }
    if (change.flags == XATTR_REPLACE && !exists) {
        return Errno{ENODATA};
    }
    found->xattrs[std::string{name.view()}] = to_text(change.value);
    last_setxattr_kills_sgid_ = change.acl_kill_sgid;
    return {};
}

Outcome<void> MemoryFs::removexattr(Context&, NodeId node, CString name) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    if (found->xattrs.erase(std::string{name.view()}) == 0) {
        return Errno{ENODATA};
    }
    return {};
}

Outcome<LockRange> MemoryFs::getlk(Context&, NodeId node, const LockArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(const auto* found, find(node));
    auto range = args.range;
    range.type = found->lock_holder && *found->lock_holder != args.owner ? F_WRLCK : F_UNLCK;
    return range;
}

void MemoryFs::unlock(NodeId id, LockOwner owner) {
    auto& node = nodes_[id];
    if (node.lock_holder != owner) {
        return;
    }
    node.lock_holder.reset();
    const auto next = std::find_if(
        parked_.begin(), parked_.end(), [&](const Parked& parked) { return parked.node == id; });
    if (next == parked_.end()) {
        return;
    }
    node.lock_holder = next->owner;
    const auto granted = std::move(next->deferred);
    parked_.erase(next);
    granted->complete({});
}

Outcome<void> MemoryFs::setlk(Context&, NodeId node, const LockArgs& args) {
    const std::lock_guard lock{mutex_};
    VFSKIT_TRY_ASSIGN(auto* found, find(node));
    if (args.range.type == F_UNLCK) {
        unlock(node, args.owner);
        return {};
    }
    if (found->lock_holder && *found->lock_holder != args.owner) {
        return Errno{EAGAIN};
    }
    found->lock_holder = args.owner;
    return {};
}

Outcome<LockState>
MemoryFs::setlkw(Context& ctx, NodeId node, const LockArgs& args, Deferral& deferral) {
    const auto now = setlk(ctx, node, args);
    if (now) {
        return LockState::granted;
    }
    if (now.error() != Errno{EAGAIN}) {
        return now.error();
    }
    const std::lock_guard lock{mutex_};
    parked_.push_back({.node = node,
                       .owner = args.owner,
                       .unique = static_cast<std::uint64_t>(ctx.unique),
                       .deferred = deferral.park()});
    return LockState::parked;
}

void MemoryFs::interrupt(Context&, Unique unique) {
    const std::lock_guard lock{mutex_};
    const auto found = std::find_if(parked_.begin(), parked_.end(), [&](const Parked& parked) {
        return parked.unique == static_cast<std::uint64_t>(unique);
    });
    if (found != parked_.end()) {
        found->deferred->complete(Errno{EINTR});
        parked_.erase(found);
    }
}

void MemoryFs::cancel_parked(Errno reason) {
    const std::lock_guard lock{mutex_};
    for (const auto& parked : parked_) {
        parked.deferred->complete(reason);
    }
    parked_.clear();
}

MemoryFs::Creation MemoryFs::last_creation() const {
    const std::lock_guard lock{mutex_};
    return last_creation_;
}

std::uint64_t MemoryFs::lookup_count(NodeId node) const {
    const std::lock_guard lock{mutex_};
    const auto found = nodes_.find(node);
    return found == nodes_.end() ? 0 : found->second.lookup_count;
}

NegotiatedState MemoryFs::negotiated() const {
    const std::lock_guard lock{mutex_};
    return negotiated_;
}

bool MemoryFs::last_setxattr_kills_sgid() const {
    const std::lock_guard lock{mutex_};
    return last_setxattr_kills_sgid_;
}

std::size_t MemoryFs::parked_count() const {
    const std::lock_guard lock{mutex_};
    return parked_.size();
}

} // namespace vfskit::fuse

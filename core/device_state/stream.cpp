// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/stream.h"

#include "core/base/bytes.h"
#include "core/device_state/file_handle_wire.h"
#include "core/device_state/postcard.h"
#include "core/device_state/trailer.h"
#include "core/fuse/name.h"
#include "core/passthrough/host_calls.h"

#include <fmt/format.h>

#include <cerrno>
#include <climits>

namespace vfskit::device_state {

namespace {

// Variant numbers on the wire.
enum : std::uint32_t { wire_root, wire_path, wire_invalid, wire_full_path, wire_file_handle };
enum : std::uint32_t { wire_v1, wire_v2 };
/// Ours: version 2, which must not be loaded without its trailer. Far from the versions that
/// upstream may give out next.
constexpr std::uint32_t wire_v2_with_trailer = 0x56464b;
constexpr std::uint32_t wire_open_inode = 0;

Error malformed(std::string_view what, std::string_view why) {
    return Error{EBADMSG, fmt::format("The {} in the device state {}", what, why)};
}

// ---- reading
// -------------------------------------------------------------------------------------

Result<Location> read_path(PostcardReader& reader) {
    PathLocation path;
    VFSKIT_TRY_ASSIGN(const auto parent, reader.read_u64("parent of an inode"));
    VFSKIT_TRY_ASSIGN(const auto name, reader.read_text(fuse::Name::max_size, "name of an inode"));
    if (!passthrough::is_entry_name(name)) {
        return malformed("name of an inode",
                         fmt::format("is '{}', not an entry of a directory", name));
    }
    path.parent = NodeId{parent};
    path.name = name;
    return Location{std::move(path)};
}

Result<std::string> read_relative_path(PostcardReader& reader, std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto path, reader.read_text(PATH_MAX, what));
    if (!is_relative_path(path)) {
        return malformed(what, fmt::format("is '{}', not a path below the shared directory", path));
    }
    return std::string{path};
}

Result<Location> read_location(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto variant, reader.read_u32("kind of an inode's location"));
    switch (variant) {
    case wire_root:
        return Location{RootLocation{}};
    case wire_path:
        return read_path(reader);
    case wire_invalid:
        return Location{InvalidLocation{}};
    case wire_full_path: {
        VFSKIT_TRY_ASSIGN(auto path, read_relative_path(reader, "path of an inode"));
        return Location{FullPathLocation{std::move(path)}};
    }
    case wire_file_handle: {
        VFSKIT_TRY_ASSIGN(auto handle, read_file_handle(reader, "file handle of an inode"));
        return Location{FileHandleLocation{std::move(handle)}};
    }
    }
    return malformed("kind of an inode's location", fmt::format("is {}", variant));
}

Result<SavedInode> read_inode(PostcardReader& reader) {
    SavedInode inode;
    VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("id of an inode"));
    inode.id = NodeId{id};
    VFSKIT_TRY_ASSIGN(inode.refcount, reader.read_u64("reference count of an inode"));
    VFSKIT_TRY_ASSIGN(inode.location, read_location(reader));
    VFSKIT_TRY_ASSIGN(const bool has_handle, reader.read_bool("presence of a handle to verify"));
    if (has_handle) {
        VFSKIT_TRY_ASSIGN(inode.verify_handle, read_file_handle(reader, "file handle of an inode"));
    }
    return inode;
}

Result<SavedHandle> read_handle(PostcardReader& reader) {
    SavedHandle handle;
    VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("id of an open file"));
    handle.id = HandleId{id};
    VFSKIT_TRY_ASSIGN(const auto node, reader.read_u64("inode of an open file"));
    handle.node = NodeId{node};
    VFSKIT_TRY_ASSIGN(const auto source, reader.read_u32("source of an open file"));
    if (source != wire_open_inode) {
        return malformed("source of an open file", fmt::format("is {}", source));
    }
    VFSKIT_TRY_ASSIGN(handle.open_flags, reader.read_i32("flags of an open file"));
    return handle;
}

Result<SavedOptions> read_options(PostcardReader& reader) {
    SavedOptions options;
    VFSKIT_TRY_ASSIGN(options.writeback, reader.read_bool("writeback option"));
    VFSKIT_TRY_ASSIGN(options.announce_submounts, reader.read_bool("announce_submounts option"));
    VFSKIT_TRY_ASSIGN(options.posix_acl, reader.read_bool("posix_acl option"));
    VFSKIT_TRY_ASSIGN(options.supplementary_groups, reader.read_bool("sup_group option"));
    return options;
}

Result<State> read_v1(PostcardReader& reader) {
    constexpr std::size_t smallest_inode = 4;
    constexpr std::size_t smallest_handle = 4;
    State state;
    VFSKIT_TRY_ASSIGN(const auto inodes, reader.read_count(smallest_inode, "number of inodes"));
    state.inodes.reserve(inodes);
    for (std::size_t i = 0; i < inodes; ++i) {
        VFSKIT_TRY_ASSIGN(auto inode, read_inode(reader));
        state.inodes.push_back(std::move(inode));
    }
    VFSKIT_TRY_ASSIGN(const auto next_inode, reader.read_u64("next inode id"));
    state.next_inode = NodeId{next_inode};
    VFSKIT_TRY_ASSIGN(const auto handles,
                      reader.read_count(smallest_handle, "number of open files"));
    state.handles.reserve(handles);
    for (std::size_t i = 0; i < handles; ++i) {
        VFSKIT_TRY_ASSIGN(const auto handle, read_handle(reader));
        state.handles.push_back(handle);
    }
    VFSKIT_TRY_ASSIGN(const auto next_handle, reader.read_u64("next id of an open file"));
    state.next_handle = HandleId{next_handle};
    VFSKIT_TRY_ASSIGN(state.options, read_options(reader));
    return state;
}

Result<void> read_mounts(PostcardReader& reader, State& state) {
    constexpr std::size_t smallest_mount = 2;
    VFSKIT_TRY_ASSIGN(const auto mounts, reader.read_count(smallest_mount, "number of mounts"));
    for (std::size_t i = 0; i < mounts; ++i) {
        SavedMount mount;
        VFSKIT_TRY_ASSIGN(mount.mount_id, reader.read_u64("id of a mount"));
        VFSKIT_TRY_ASSIGN(mount.path, read_relative_path(reader, "path of a mount"));
        state.mounts.push_back(std::move(mount));
    }
    return {};
}

// ---- writing
// -------------------------------------------------------------------------------------

class LocationWriter {
public:
    explicit LocationWriter(PostcardWriter& writer) : writer_{writer} {}

    void operator()(const RootLocation& /*root*/) { writer_.write_unsigned(wire_root); }
    void operator()(const PathLocation& path) {
        writer_.write_unsigned(wire_path);
        writer_.write_unsigned(static_cast<std::uint64_t>(path.parent));
        writer_.write_text(path.name);
    }
    void operator()(const InvalidLocation& /*invalid*/) { writer_.write_unsigned(wire_invalid); }
    void operator()(const FullPathLocation& path) {
        writer_.write_unsigned(wire_full_path);
        writer_.write_text(path.path);
    }
    void operator()(const FileHandleLocation& location) {
        writer_.write_unsigned(wire_file_handle);
        write_file_handle(writer_, location.handle);
    }

private:
    PostcardWriter& writer_;
};

void write_inode(PostcardWriter& writer, const SavedInode& inode) {
    writer.write_unsigned(static_cast<std::uint64_t>(inode.id));
    writer.write_unsigned(inode.refcount);
    std::visit(LocationWriter{writer}, inode.location);
    writer.write_bool(inode.verify_handle.has_value());
    if (inode.verify_handle) {
        write_file_handle(writer, *inode.verify_handle);
    }
}

void write_handle(PostcardWriter& writer, const SavedHandle& handle) {
    writer.write_unsigned(static_cast<std::uint64_t>(handle.id));
    writer.write_unsigned(static_cast<std::uint64_t>(handle.node));
    writer.write_unsigned(wire_open_inode);
    writer.write_signed(handle.open_flags);
}

void write_v2(PostcardWriter& writer, const State& state) {
    writer.write_unsigned(state.needs_trailer() ? wire_v2_with_trailer : wire_v2);
    writer.write_unsigned(state.inodes.size());
    for (const auto& inode : state.inodes) {
        write_inode(writer, inode);
    }
    writer.write_unsigned(static_cast<std::uint64_t>(state.next_inode));
    writer.write_unsigned(state.handles.size());
    for (const auto& handle : state.handles) {
        write_handle(writer, handle);
    }
    writer.write_unsigned(static_cast<std::uint64_t>(state.next_handle));
    writer.write_bool(state.options.writeback);
    writer.write_bool(state.options.announce_submounts);
    writer.write_bool(state.options.posix_acl);
    writer.write_bool(state.options.supplementary_groups);
    writer.write_unsigned(state.mounts.size());
    for (const auto& mount : state.mounts) {
        writer.write_unsigned(mount.mount_id);
        writer.write_text(mount.path);
    }
}

} // namespace

std::vector<std::byte> encode(const State& state) {
    constexpr std::size_t usual_inode_size = 32;
    PostcardWriter writer;
    writer.reserve(state.inodes.size() * usual_inode_size + 256);
    write_v2(writer, state);
    if (state.trailer) {
        append_trailer(writer, *state.trailer);
    }
    return std::move(writer).take();
}

Result<State> decode(std::span<const std::byte> bytes) {
    PostcardReader reader{bytes};
    VFSKIT_TRY_ASSIGN(const auto version, reader.read_u32("version"));
    if (version > wire_v2 && version != wire_v2_with_trailer) {
        return Error{
            EPROTONOSUPPORT,
            fmt::format(
                "The device state has version {} of the format; versions 1 and 2 can be read",
                version + 1)}
            .with_remedy(
                "Update virtiofsd on the destination to the source's version or a newer one");
    }
    VFSKIT_TRY_ASSIGN(auto state, read_v1(reader));
    if (version != wire_v1) {
        VFSKIT_TRY(read_mounts(reader, state));
    }
    VFSKIT_TRY_ASSIGN(state.trailer, read_trailer(bytes, reader.position()));
    if ((version == wire_v2_with_trailer) != state.needs_trailer()) {
        return Error{EBADMSG,
                     state.needs_trailer()
                         ? "The device state brings locks and does not say so at its beginning"
                         : "The device state says that it brings locks and has none"};
    }
    return state;
}

} // namespace vfskit::device_state

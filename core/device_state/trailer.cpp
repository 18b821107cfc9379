// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/trailer.h"

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/device_state/file_handle_wire.h"
#include "core/fuse/name.h"
#include "core/passthrough/host_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::device_state {

namespace {

enum Section : std::uint64_t {
    section_negotiated = 1,
    section_identity = 2,
    section_guest_flags = 3,
    section_places = 4,
    section_locks = 5,
    first_optional_section = 128,
    section_nameless = 128,
    section_offer = 129,
    section_numbers = 130,
    section_files = 131,
    section_opened = 132,
};

/// S_IFMT's lowest bit.
constexpr mode_t type_unit = 1U << 12U;

/// FNV-1a over 8 bytes at a time: it finds transport errors and cut streams, it is no signature.
std::uint64_t checksum_of(std::span<const std::byte> bytes) {
    constexpr std::uint64_t prime = 0x100000001b3;
    std::uint64_t sum = 0xcbf29ce484222325 ^ bytes.size();
    while (!bytes.empty()) {
        std::uint64_t word = 0;
        const auto size = std::min(bytes.size(), sizeof(word));
        std::memcpy(&word, bytes.data(), size);
        sum = (sum ^ word) * prime;
        sum ^= sum >> 29U;
        bytes = bytes.subspan(size);
    }
    return sum;
}

void write_section(PostcardWriter& writer, Section section, const PostcardWriter& content) {
    writer.write_unsigned(section);
    writer.write_bytes(content.bytes());
}

void write_negotiated(PostcardWriter& writer, const fuse::NegotiatedState& state) {
    writer.write_unsigned(state.minor);
    writer.write_unsigned(state.flags);
    writer.write_unsigned(state.max_readahead);
    writer.write_unsigned(state.max_write);
    writer.write_unsigned(state.max_pages);
}

Result<fuse::NegotiatedState> read_negotiated(PostcardReader& reader) {
    fuse::NegotiatedState state;
    VFSKIT_TRY_ASSIGN(state.minor, reader.read_u32("FUSE minor"));
    VFSKIT_TRY_ASSIGN(state.flags, reader.read_u64("FUSE flags"));
    VFSKIT_TRY_ASSIGN(state.max_readahead, reader.read_u32("FUSE max_readahead"));
    VFSKIT_TRY_ASSIGN(state.max_write, reader.read_u32("FUSE max_write"));
    VFSKIT_TRY_ASSIGN(const auto pages, reader.read_u32("FUSE max_pages"));
    if (pages > UINT16_MAX) {
        return Error{EBADMSG, fmt::format("The FUSE max_pages in the device state is {}", pages)};
    }
    state.max_pages = static_cast<std::uint16_t>(pages);
    return state;
}

void write_identity(PostcardWriter& writer, const ShareIdentity& identity) {
    writer.write_text(identity.boot_id);
    writer.write_text(identity.machine_id);
    writer.write_unsigned(identity.filesystem_type);
    writer.write_unsigned(identity.filesystem_id);
    writer.write_unsigned(identity.device);
    writer.write_unsigned(identity.ino);
    writer.write_unsigned(static_cast<std::uint64_t>(identity.birth_seconds));
    writer.write_unsigned(identity.birth_nanoseconds);
    writer.write_bool(identity.root_handle.has_value());
    if (identity.root_handle) {
        write_file_handle(writer, *identity.root_handle);
    }
}

Result<ShareIdentity> read_identity(PostcardReader& reader) {
    constexpr std::size_t longest_id = 64;
    ShareIdentity identity;
    VFSKIT_TRY_ASSIGN(identity.boot_id, reader.read_text(longest_id, "boot id"));
    VFSKIT_TRY_ASSIGN(identity.machine_id, reader.read_text(longest_id, "machine id"));
    VFSKIT_TRY_ASSIGN(identity.filesystem_type, reader.read_u32("filesystem type"));
    VFSKIT_TRY_ASSIGN(identity.filesystem_id, reader.read_u64("filesystem id"));
    VFSKIT_TRY_ASSIGN(identity.device, reader.read_u32("device of the root"));
    VFSKIT_TRY_ASSIGN(identity.ino, reader.read_u64("inode number of the root"));
    VFSKIT_TRY_ASSIGN(const auto birth, reader.read_u64("birth time of the root"));
    identity.birth_seconds = static_cast<std::int64_t>(birth);
    VFSKIT_TRY_ASSIGN(identity.birth_nanoseconds, reader.read_u32("birth time of the root"));
    VFSKIT_TRY_ASSIGN(const bool has_handle, reader.read_bool("presence of the root's handle"));
    if (has_handle) {
        VFSKIT_TRY_ASSIGN(identity.root_handle,
                          read_file_handle(reader, "file handle in the trailer"));
    }
    return identity;
}

void write_guest_flags(PostcardWriter& writer, const std::vector<GuestFlags>& all) {
    writer.write_unsigned(all.size());
    for (const auto& one : all) {
        writer.write_unsigned(static_cast<std::uint64_t>(one.id));
        writer.write_unsigned(one.flags);
    }
}

Result<std::vector<GuestFlags>> read_guest_flags(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto count, reader.read_count(2, "number of guest flags"));
    std::vector<GuestFlags> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("handle of guest flags"));
        VFSKIT_TRY_ASSIGN(const auto flags, reader.read_u32("guest flags"));
        all.push_back({HandleId{id}, flags});
    }
    return all;
}

void write_places(PostcardWriter& writer, const std::vector<SavedPlace>& all) {
    writer.write_unsigned(all.size());
    for (const auto& place : all) {
        writer.write_unsigned(static_cast<std::uint64_t>(place.id));
        writer.write_unsigned(static_cast<std::uint64_t>(place.parent));
        writer.write_text(place.name);
    }
}

Result<std::vector<SavedPlace>> read_places(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto count, reader.read_count(3, "number of places"));
    std::vector<SavedPlace> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        SavedPlace place;
        VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("inode of a place"));
        place.id = NodeId{id};
        VFSKIT_TRY_ASSIGN(const auto parent, reader.read_u64("parent of a place"));
        place.parent = NodeId{parent};
        VFSKIT_TRY_ASSIGN(const auto name,
                          reader.read_bytes(fuse::Name::max_size, "name of a place"));
        place.name = base::as_text(name);
        if (!passthrough::is_entry_name(place.name)) {
            return Error{EBADMSG,
                         "The name of a place in the device state is not an entry of a directory"};
        }
        all.push_back(std::move(place));
    }
    return all;
}

void write_locks(PostcardWriter& writer, const SavedLocks& locks) {
    writer.write_unsigned(locks.posix.size());
    for (const auto& lock : locks.posix) {
        writer.write_unsigned(static_cast<std::uint64_t>(lock.node));
        writer.write_unsigned(static_cast<std::uint64_t>(lock.owner));
        writer.write_unsigned(lock.start);
        writer.write_unsigned(lock.end);
        writer.write_bool(lock.is_exclusive);
        writer.write_unsigned(lock.pid);
    }
    writer.write_unsigned(locks.flocks.size());
    for (const auto id : locks.flocks) {
        writer.write_unsigned(static_cast<std::uint64_t>(id));
    }
}

Result<SavedLock> read_lock(PostcardReader& reader) {
    SavedLock lock;
    VFSKIT_TRY_ASSIGN(const auto node, reader.read_u64("inode of a lock"));
    lock.node = NodeId{node};
    VFSKIT_TRY_ASSIGN(const auto owner, reader.read_u64("owner of a lock"));
    lock.owner = fuse::LockOwner{owner};
    VFSKIT_TRY_ASSIGN(lock.start, reader.read_u64("start of a lock"));
    VFSKIT_TRY_ASSIGN(lock.end, reader.read_u64("end of a lock"));
    VFSKIT_TRY_ASSIGN(lock.is_exclusive, reader.read_bool("kind of a lock"));
    VFSKIT_TRY_ASSIGN(lock.pid, reader.read_u32("process of a lock"));
    if (lock.end < lock.start || lock.end > INT64_MAX) {
        return Error{EBADMSG,
                     fmt::format("A lock in the device state reaches from byte {} to byte {}",
                                 lock.start,
                                 lock.end)};
    }
    return lock;
}

Result<SavedLocks> read_locks(PostcardReader& reader) {
    SavedLocks locks;
    VFSKIT_TRY_ASSIGN(const auto ranges, reader.read_count(6, "number of locks"));
    locks.posix.reserve(ranges);
    for (std::size_t i = 0; i < ranges; ++i) {
        VFSKIT_TRY_ASSIGN(auto lock, read_lock(reader));
        locks.posix.push_back(lock);
    }
    VFSKIT_TRY_ASSIGN(const auto flocks, reader.read_count(1, "number of flock locks"));
    locks.flocks.reserve(flocks);
    for (std::size_t i = 0; i < flocks; ++i) {
        VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("open file of a flock lock"));
        locks.flocks.push_back(HandleId{id});
    }
    return locks;
}

void write_files_by_handle(PostcardWriter& writer, const std::vector<FileByHandle>& all) {
    writer.write_unsigned(all.size());
    for (const auto& file : all) {
        writer.write_unsigned(static_cast<std::uint64_t>(file.id));
        write_file_handle(writer, file.handle);
    }
}

Result<std::vector<FileByHandle>> read_files_by_handle(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto count, reader.read_count(4, "number of files with a handle"));
    std::vector<FileByHandle> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("inode of a file with a handle"));
        VFSKIT_TRY_ASSIGN(auto handle, read_file_handle(reader, "file handle in the trailer"));
        all.push_back({NodeId{id}, std::move(handle)});
    }
    return all;
}

void write_offer(PostcardWriter& writer, const DescriptorOffer& offer) {
    writer.write_text(offer.socket_name);
    writer.write_raw(offer.token);
}

Result<DescriptorOffer> read_offer(PostcardReader& reader) {
    DescriptorOffer offer;
    VFSKIT_TRY_ASSIGN(const auto name,
                      reader.read_text(fuse::Name::max_size, "name of the migration socket"));
    if (!passthrough::is_entry_name(name)) {
        return Error{EBADMSG,
                     "The migration socket in the device state is not an entry of a directory"};
    }
    offer.socket_name = name;
    for (auto& byte : offer.token) {
        VFSKIT_TRY_ASSIGN(byte, reader.read_byte("token of the migration socket"));
    }
    return offer;
}

void write_numbers(PostcardWriter& writer, const std::vector<SavedNumber>& all) {
    writer.write_unsigned(all.size());
    for (const auto& number : all) {
        writer.write_unsigned(static_cast<std::uint64_t>(number.id));
        writer.write_unsigned(number.device);
        writer.write_unsigned(number.ino);
        writer.write_unsigned(number.birth);
    }
}

Result<std::vector<SavedNumber>> read_numbers(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto count, reader.read_count(4, "number of file numbers"));
    std::vector<SavedNumber> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        SavedNumber number;
        VFSKIT_TRY_ASSIGN(const auto id, reader.read_u64("inode of a file number"));
        number.id = NodeId{id};
        VFSKIT_TRY_ASSIGN(number.device, reader.read_u32("device of a file"));
        VFSKIT_TRY_ASSIGN(number.ino, reader.read_u64("inode number of a file"));
        VFSKIT_TRY_ASSIGN(number.birth, reader.read_u32("birth of a file"));
        all.push_back(number);
    }
    return all;
}

/// Neighbours were often made one after the other: what follows is the difference.
void write_files(PostcardWriter& writer, const std::vector<SavedFile>& all) {
    std::uint64_t last = 0;
    writer.write_unsigned(all.size());
    for (const auto& file : all) {
        writer.write_unsigned(file.type / type_unit);
        if (file.type != 0) {
            const auto step = file.ino - last;
            writer.write_unsigned((step << 1U) ^ (0 - (step >> 63U)));
            writer.write_unsigned(file.birth);
            last = file.ino;
        }
    }
}

Result<std::vector<SavedFile>> read_files(PostcardReader& reader) {
    VFSKIT_TRY_ASSIGN(const auto count, reader.read_count(1, "number of known files"));
    std::vector<SavedFile> all;
    all.reserve(count);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
        SavedFile file;
        VFSKIT_TRY_ASSIGN(const auto type, reader.read_u32("type of a known file"));
        if (type > S_IFMT / type_unit) {
            return Error{EBADMSG, fmt::format("The type of a known file is {}", type)};
        }
        file.type = static_cast<mode_t>(type * type_unit);
        if (type != 0) {
            VFSKIT_TRY_ASSIGN(const auto step, reader.read_u64("number of a known file"));
            VFSKIT_TRY_ASSIGN(file.birth, reader.read_u32("birth of a known file"));
            last += (step >> 1U) ^ (0 - (step & 1U));
            file.ino = last;
        }
        all.push_back(file);
    }
    return all;
}

Result<void> read_section(std::uint64_t section, PostcardReader content, Trailer& trailer) {
    switch (section) {
    case section_negotiated: {
        VFSKIT_TRY_ASSIGN(trailer.negotiated, read_negotiated(content));
        break;
    }
    case section_identity: {
        VFSKIT_TRY_ASSIGN(trailer.identity, read_identity(content));
        break;
    }
    case section_guest_flags: {
        VFSKIT_TRY_ASSIGN(trailer.guest_flags, read_guest_flags(content));
        break;
    }
    case section_places: {
        VFSKIT_TRY_ASSIGN(trailer.places, read_places(content));
        break;
    }
    case section_locks: {
        VFSKIT_TRY_ASSIGN(trailer.locks, read_locks(content));
        break;
    }
    case section_nameless: {
        VFSKIT_TRY_ASSIGN(trailer.nameless, read_files_by_handle(content));
        break;
    }
    case section_offer: {
        VFSKIT_TRY_ASSIGN(trailer.offer, read_offer(content));
        break;
    }
    case section_numbers: {
        VFSKIT_TRY_ASSIGN(trailer.numbers, read_numbers(content));
        break;
    }
    case section_files: {
        VFSKIT_TRY_ASSIGN(trailer.files, read_files(content));
        break;
    }
    case section_opened: {
        VFSKIT_TRY_ASSIGN(trailer.opened, read_files_by_handle(content));
        break;
    }
    default:
        if (section < first_optional_section) {
            return Error{
                EPROTONOSUPPORT,
                fmt::format("The device state has a section {} that this version does not know",
                            section)}
                .with_remedy("Update virtiofsd on the destination to the source's version");
        }
        return {};
    }
    if (content.remaining() != 0) {
        return Error{EBADMSG, fmt::format("Section {} of the device state is too long", section)};
    }
    return {};
}

Result<Trailer> read_sections(std::span<const std::byte> payload) {
    PostcardReader reader{payload};
    Trailer trailer;
    std::uint64_t last = 0;
    while (reader.remaining() != 0) {
        VFSKIT_TRY_ASSIGN(const auto section, reader.read_u64("number of a section"));
        VFSKIT_TRY_ASSIGN(const auto content, reader.read_bytes(payload.size(), "section"));
        if (section <= last) {
            return Error{EBADMSG,
                         fmt::format("Section {} of the device state is out of order", section)};
        }
        last = section;
        VFSKIT_TRY(read_section(section, PostcardReader{content}, trailer));
    }
    return trailer;
}

} // namespace

void append_trailer(PostcardWriter& writer, const Trailer& trailer) {
    PostcardWriter payload;
    const auto add = [&payload](Section section, auto write, const auto& value) {
        PostcardWriter content;
        write(content, value);
        write_section(payload, section, content);
    };
    add(section_negotiated, write_negotiated, trailer.negotiated);
    add(section_identity, write_identity, trailer.identity);
    add(section_guest_flags, write_guest_flags, trailer.guest_flags);
    add(section_places, write_places, trailer.places);
    // What is not there is not said: most states have nothing of the following.
    if (!trailer.locks.is_empty()) {
        add(section_locks, write_locks, trailer.locks);
    }
    if (!trailer.nameless.empty()) {
        add(section_nameless, write_files_by_handle, trailer.nameless);
    }
    if (trailer.offer) {
        add(section_offer, write_offer, *trailer.offer);
    }
    if (!trailer.numbers.empty()) {
        add(section_numbers, write_numbers, trailer.numbers);
    }
    if (!trailer.files.empty()) {
        add(section_files, write_files, trailer.files);
    }
    if (!trailer.opened.empty()) {
        add(section_opened, write_files_by_handle, trailer.opened);
    }
    append_sections(writer, payload.bytes());
}

void append_sections(PostcardWriter& writer, std::span<const std::byte> sections) {
    base::ByteWriter header;
    header.write_text(trailer_magic);
    header.write(trailer_version);
    header.write(std::uint64_t{sections.size()});
    writer.write_raw(header.bytes());
    writer.write_raw(sections);
    base::ByteWriter checksum;
    checksum.write(checksum_of(writer.bytes()));
    writer.write_raw(checksum.bytes());
}

Result<std::optional<Trailer>> read_trailer(std::span<const std::byte> stream, std::size_t offset) {
    base::ByteReader reader{stream.subspan(offset)};
    const auto magic = reader.read_bytes(trailer_magic.size(), "magic of the trailer");
    if (!magic || base::as_text(*magic) != trailer_magic) {
        return std::optional<Trailer>{};
    }
    VFSKIT_TRY_ASSIGN(const auto version, reader.read<std::uint32_t>("version of the trailer"));
    if (version != trailer_version) {
        return Error{
            EPROTONOSUPPORT,
            fmt::format("The device state has version {} of the trailer; version {} can be read",
                        version,
                        trailer_version)}
            .with_remedy("Update virtiofsd on the destination to the source's version");
    }
    VFSKIT_TRY_ASSIGN(const auto size, reader.read<std::uint64_t>("length of the trailer"));
    if (size > reader.remaining()) {
        return Error{EBADMSG, "The device state ends before its trailer does"};
    }
    VFSKIT_TRY_ASSIGN(const auto payload,
                      reader.read_bytes(static_cast<std::size_t>(size), "trailer"));
    const auto summed = stream.first(stream.size() - reader.remaining());
    VFSKIT_TRY_ASSIGN(const auto checksum, reader.read<std::uint64_t>("checksum of the trailer"));
    if (checksum != checksum_of(summed)) {
        return Error{EBADMSG,
                     "The checksum of the device state is wrong: it was damaged on its way"};
    }
    VFSKIT_TRY_ASSIGN(auto trailer, read_sections(payload));
    return std::optional{std::move(trailer)};
}

bool is_relative_path(std::string_view path) {
    if (path == ".") {
        return true;
    }
    const auto parts = base::split(path, '/');
    return std::all_of(parts.begin(), parts.end(), passthrough::is_entry_name);
}

} // namespace vfskit::device_state

// SPDX-License-Identifier: Apache-2.0
#include "bench/known_files.h"

#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <stdexcept>

namespace vfskit::bench {
namespace {

using namespace fuse::wire;

constexpr std::size_t files_per_directory = 99;

void require(bool condition, const std::string& what) {
    if (!condition) {
        throw std::runtime_error{what};
    }
}

void require(const Reply& reply, const char* what) {
    require(reply.error == 0, fmt::format("{} failed: {}", what, std::strerror(-reply.error)));
}

std::string directory_name(std::size_t number) {
    return fmt::format("d{}", number);
}

void release_dir(FuseGuest& guest, std::uint64_t nodeid, std::uint64_t fh) {
    require(guest.call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_RELEASEDIR;
        request.nodeid = nodeid;
        request.body_size = slot.put(ReleaseIn{fh, 0, 0, 0});
    }),
            "FUSE_RELEASEDIR");
}

void rename(FuseGuest& guest, std::uint64_t dir, const std::string& from, const std::string& to) {
    require(guest.call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_RENAME2;
        request.nodeid = dir;
        const auto names = slot.put(Rename2In{dir, 0, 0});
        request.body_size = slot.put_name(to, slot.put_name(from, names));
    }),
            "FUSE_RENAME2");
}

std::uint64_t ino_of(FuseGuest& guest, std::uint64_t nodeid) {
    const auto reply = guest.call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_GETATTR;
        request.nodeid = nodeid;
        request.body_size = slot.put(GetattrIn{});
        request.reply_size = sizeof(AttrOut);
    });
    require(reply, "FUSE_GETATTR");
    AttrOut out{};
    std::memcpy(&out, reply.body, sizeof out);
    return out.attr.ino;
}

std::string read_from(FuseGuest& guest, std::uint64_t nodeid, std::uint64_t fh) {
    const auto reply = guest.call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_READ;
        request.nodeid = nodeid;
        request.data_out = 4096;
        request.body_size = slot.put(ReadIn{fh, 0, request.data_out, 0, 0, 0, 0});
    });
    require(reply, "FUSE_READ");
    return {reinterpret_cast<const char*>(reply.data), reply.data_size};
}

} // namespace

void make_files(const std::string& root, std::size_t count) {
    const auto make_dir = [](const std::string& path) {
        require(::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST, "cannot make " + path);
    };
    make_dir(root);
    for (std::size_t made = 0, number = 0; made < count; ++number) {
        const auto directory = root + "/" + directory_name(number);
        make_dir(directory);
        for (std::size_t i = 0; i < files_per_directory; ++i) {
            const auto path = fmt::format("{}/f{}", directory, i);
            const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
            require(fd.get() >= 0 && ::write(fd.get(), "content", 7) == 7, "cannot make " + path);
        }
        made += files_per_directory + 1;
    }
}

void KnownFiles::list(FuseGuest& guest, const Directory& directory) {
    const auto fh = guest.open_dir(directory.nodeid);
    for (std::uint64_t offset = 0;;) {
        constexpr std::uint32_t size = 65536;
        const auto reply = guest.call([&](Slot& slot, Request& request) {
            request.opcode = Opcode::FUSE_READDIRPLUS;
            request.nodeid = directory.nodeid;
            request.body_size = slot.put(ReadIn{fh, offset, size, 0, 0, 0, 0});
            request.data_out = size;
        });
        require(reply, "FUSE_READDIRPLUS");
        if (reply.data_size == 0) {
            break;
        }
        for (std::size_t at = 0; at + sizeof(Direntplus) <= reply.data_size;) {
            Direntplus entry{};
            std::memcpy(&entry, reply.data + at, sizeof entry);
            const auto* name = reinterpret_cast<const char*>(reply.data + at + sizeof entry);
            if (entry.entry_out.nodeid != 0) {
                files_.push_back({entry.entry_out.nodeid, entry.entry_out.attr.ino});
                names_.emplace_back(name, entry.dirent.namelen);
            }
            offset = entry.dirent.off;
            at += (sizeof entry + entry.dirent.namelen + 7) & ~std::size_t{7};
        }
    }
    release_dir(guest, directory.nodeid, fh);
}

void KnownFiles::learn(FuseGuest& guest, std::size_t count, std::size_t open) {
    while (size() < count) {
        const auto nodeid = guest.lookup(FUSE_ROOT_ID, directory_name(directories_.size()));
        directories_.push_back({nodeid, files_.size()});
        list(guest, directories_.back());
    }
    const auto step = std::max<std::size_t>(files_.size() / std::max<std::size_t>(open, 1), 1);
    for (std::size_t i = 0; i < files_.size() && handles_.size() < open; i += step) {
        handles_.push_back({files_[i].nodeid, guest.open(files_[i].nodeid, O_RDWR)});
    }
}

void KnownFiles::change(FuseGuest& guest, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
        const auto& directory = directories_[i % directories_.size()];
        const auto& name = names_[directory.first_file + i / directories_.size()];
        rename(guest, directory.nodeid, name, "elsewhere");
        rename(guest, directory.nodeid, "elsewhere", name);
    }
}

double KnownFiles::use(FuseGuest& guest, std::size_t count) const {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i) {
        const auto& file = files_[i * 7919 % files_.size()];
        require(ino_of(guest, file.nodeid) == file.ino, "a file is another after the migration");
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    for (std::size_t i = 0; i < std::min(count, handles_.size()); ++i) {
        const auto& open = handles_[i * 7919 % handles_.size()];
        require(read_from(guest, open.nodeid, open.fh) == "content",
                "an open file has another content after the migration");
    }
    return elapsed.count() / static_cast<double>(count);
}

} // namespace vfskit::bench

// SPDX-License-Identifier: Apache-2.0
#include "bench/fs_workloads.h"

#include "core/base/unique_fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace vfskit::bench {
namespace {

using namespace fuse::wire;

constexpr const char* small_file = "data-4k";
constexpr const char* large_file = "data-1M";
constexpr std::uint32_t small_piece = 4096;
constexpr std::uint32_t large_piece = 1U << 20;

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{fmt::format("{}: {}", what, std::strerror(errno))};
}

std::shared_ptr<UniqueFd> open_file(const std::string& path, int flags) {
    auto fd = std::make_shared<UniqueFd>(::open(path.c_str(), flags | O_CLOEXEC, 0644));
    if (!*fd) {
        fail(path);
    }
    return fd;
}

void expect(const Reply& reply, std::int32_t wanted, const char* what) {
    if (reply.error != wanted) {
        throw std::runtime_error{fmt::format("{} answered {}", what, reply.error)};
    }
}

std::string file_name(std::uint64_t number) {
    return fmt::format("f{}", number);
}

std::uint64_t next_number(Slot& slot) {
    return slot.counter++ * 7919 + std::uint64_t{slot.number} * 104729 + slot.queue;
}

Subject getattr(const Tree& tree) {
    auto fd = open_file(tree.root + "/files/f0", O_PATH);
    return {"getattr",
            "op",
            [](FuseGuest& guest) {
                const auto node = guest.lookup(guest.lookup(FUSE_ROOT_ID, "files"), "f0");
                return Workload{"getattr",
                                [node](Slot& slot, Request& request) {
                                    request.opcode = Opcode::FUSE_GETATTR;
                                    request.nodeid = node;
                                    request.body_size = slot.put(GetattrIn{});
                                    request.reply_size = sizeof(AttrOut);
                                },
                                [](Slot&, const Reply& reply) {
                                    expect(reply, 0, "GETATTR");
                                    return std::uint64_t{1};
                                }};
            },
            [fd] {
                struct statx info {};
                for (int i = 0; i < 100; ++i) {
                    ::statx(fd->get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info);
                }
                return std::uint64_t{100};
            }};
}

Subject lookup(const Tree& tree, bool is_missing) {
    auto dir = open_file(tree.root + "/files", O_PATH | O_DIRECTORY);
    const unsigned files = tree.files;
    const std::int32_t wanted = is_missing ? -ENOENT : 0;
    const auto name_of = [files, is_missing](std::uint64_t number) {
        return is_missing ? fmt::format("missing{}", number % files) : file_name(number % files);
    };
    return {
        is_missing ? "lookup-missing" : "lookup",
        "op",
        [=](FuseGuest& guest) {
            const auto node = guest.lookup(FUSE_ROOT_ID, "files");
            return Workload{"lookup",
                            [=](Slot& slot, Request& request) {
                                request.opcode = Opcode::FUSE_LOOKUP;
                                request.nodeid = node;
                                request.body_size = slot.put_name(name_of(next_number(slot)));
                                request.reply_size = sizeof(EntryOut);
                            },
                            [=](Slot&, const Reply& reply) {
                                // A daemon may cache missing names: an entry with node 0.
                                if (!is_missing || reply.error != 0) {
                                    expect(reply, wanted, "LOOKUP");
                                }
                                return std::uint64_t{1};
                            }};
        },
        [=] {
            struct statx info {};
            for (std::uint64_t i = 0; i < 100; ++i) {
                ::statx(
                    dir->get(), name_of(i).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &info);
            }
            return std::uint64_t{100};
        }};
}

Subject open_release(const Tree& tree) {
    auto dir = open_file(tree.root + "/files", O_PATH | O_DIRECTORY);
    return {"open+release",
            "cycle",
            [](FuseGuest& guest) {
                const auto node = guest.lookup(guest.lookup(FUSE_ROOT_ID, "files"), "f1");
                return Workload{"open+release",
                                [node](Slot& slot, Request& request) {
                                    request.nodeid = node;
                                    if (slot.step == 0) {
                                        request.opcode = Opcode::FUSE_OPEN;
                                        request.body_size = slot.put(OpenIn{O_RDONLY, 0});
                                        request.reply_size = sizeof(OpenOut);
                                    } else {
                                        request.opcode = Opcode::FUSE_RELEASE;
                                        request.body_size = slot.put(ReleaseIn{slot.fh, 0, 0, 0});
                                    }
                                },
                                [](Slot& slot, const Reply& reply) {
                                    expect(reply, 0, "OPEN or RELEASE");
                                    if (slot.step == 0) {
                                        std::memcpy(&slot.fh, reply.body, sizeof slot.fh);
                                        slot.step = 1;
                                        return std::uint64_t{0};
                                    }
                                    slot.step = 0;
                                    return std::uint64_t{1};
                                }};
            },
            [dir] {
                for (int i = 0; i < 100; ++i) {
                    const UniqueFd fd{::openat(dir->get(), "f1", O_RDONLY | O_CLOEXEC)};
                }
                return std::uint64_t{100};
            }};
}

struct alignas(4096) Page {
    std::array<std::byte, 4096> bytes;
};

Subject read_write(const Tree& tree, bool is_write, std::uint32_t size) {
    const char* file = size == small_piece ? small_file : large_file;
    auto fd = open_file(fmt::format("{}/{}", tree.root, file), O_RDWR);
    // As many buffers as a guest has in flight: a single one would stay in the CPU's cache.
    constexpr std::uint64_t buffers = 32;
    // Whole pages, as a guest's are: on Zen 3 a read to 16 bytes past one takes six times as long.
    auto memory = std::make_shared<std::vector<Page>>(buffers * size / sizeof(Page));
    auto round = std::make_shared<std::uint64_t>(0);
    const std::uint64_t blocks = (size == small_piece ? tree.small_bytes : tree.large_bytes) / size;
    const std::string name = fmt::format("{}-{}",
                                         is_write ? "write" : "read",
                                         size == large_piece   ? "1M"
                                         : size == small_piece ? "4k"
                                                               : "64k");
    return {name,
            "op",
            [=](FuseGuest& guest) {
                const auto node = guest.lookup(FUSE_ROOT_ID, file);
                const auto fh = guest.open(node, O_RDWR);
                return Workload{
                    name,
                    [=](Slot& slot, Request& request) {
                        const std::uint64_t offset = next_number(slot) % blocks * size;
                        request.nodeid = node;
                        if (is_write) {
                            request.opcode = Opcode::FUSE_WRITE;
                            request.body_size = slot.put(WriteIn{fh, offset, size, 0, 0, 0, 0});
                            request.data_in = size;
                            request.reply_size = sizeof(WriteOut);
                        } else {
                            request.opcode = Opcode::FUSE_READ;
                            request.body_size = slot.put(ReadIn{fh, offset, size, 0, 0, 0, 0});
                            request.data_out = size;
                        }
                    },
                    [=](Slot&, const Reply& reply) {
                        expect(reply, 0, is_write ? "WRITE" : "READ");
                        if (!is_write && reply.data_size != size) {
                            throw std::runtime_error{"READ was short"};
                        }
                        return std::uint64_t{1};
                    }};
            },
            [=] {
                for (int i = 0; i < 10; ++i) {
                    const std::uint64_t number = (*round)++;
                    Page* buffer = memory->data() + number % buffers * (size / sizeof(Page));
                    const auto offset = static_cast<off_t>(number * 7919 % blocks * size);
                    const ssize_t moved = is_write ? ::pwrite(fd->get(), buffer, size, offset)
                                                   : ::pread(fd->get(), buffer, size, offset);
                    if (moved != static_cast<ssize_t>(size)) {
                        fail("the bare " + name);
                    }
                }
                return std::uint64_t{10};
            }};
}

Subject create_unlink(const Tree& tree) {
    auto dir = open_file(tree.root + "/scratch", O_PATH | O_DIRECTORY);
    return {"create+release+unlink",
            "cycle",
            [](FuseGuest& guest) {
                const auto parent = guest.lookup(FUSE_ROOT_ID, "scratch");
                return Workload{
                    "create+release+unlink",
                    [parent](Slot& slot, Request& request) {
                        const std::string name = fmt::format("n{}-{}", slot.queue, slot.number);
                        request.nodeid = parent;
                        if (slot.step == 0) {
                            request.opcode = Opcode::FUSE_CREATE;
                            const auto end = slot.put(CreateIn{O_RDWR, 0100644, 022, 0});
                            request.body_size = slot.put_name(name, end);
                            request.reply_size = sizeof(EntryOut) + sizeof(OpenOut);
                        } else if (slot.step == 1) {
                            request.opcode = Opcode::FUSE_RELEASE;
                            request.nodeid = slot.nodeid;
                            request.body_size = slot.put(ReleaseIn{slot.fh, 0, 0, 0});
                        } else if (slot.step == 2) {
                            request.opcode = Opcode::FUSE_UNLINK;
                            request.body_size = slot.put_name(name);
                        } else {
                            // Linux has a queue of its own for these; here they pay where they
                            // arise.
                            request.opcode = Opcode::FUSE_FORGET;
                            request.nodeid = slot.nodeid;
                            request.body_size = slot.put(ForgetIn{1});
                            request.is_silent = true;
                        }
                    },
                    [](Slot& slot, const Reply& reply) {
                        expect(reply, 0, "CREATE, RELEASE or UNLINK");
                        if (slot.step == 0) {
                            std::memcpy(&slot.nodeid, reply.body, sizeof slot.nodeid);
                            std::memcpy(&slot.fh, reply.body + sizeof(EntryOut), sizeof slot.fh);
                        }
                        slot.step = (slot.step + 1) % 4;
                        return std::uint64_t{slot.step == 0 ? 1U : 0U};
                    }};
            },
            [dir] {
                // As many files at once as a guest has in flight: ext4 looks for the number of a
                // new file among those that it has freed.
                constexpr std::size_t at_once = 32;
                std::array<UniqueFd, at_once> files;
                for (std::size_t i = 0; i < at_once; ++i) {
                    files.at(i).reset(::openat(dir->get(),
                                               fmt::format("bare{}", i).c_str(),
                                               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                                               0644));
                }
                for (UniqueFd& file : files) {
                    file.reset();
                }
                for (std::size_t i = 0; i < at_once; ++i) {
                    ::unlinkat(dir->get(), fmt::format("bare{}", i).c_str(), 0);
                }
                return std::uint64_t{at_once};
            }};
}

// Entries of a READDIRPLUS reply; the offset of the last one.
std::uint64_t count_entries(const Reply& reply, std::uint64_t& offset) {
    std::uint64_t count = 0;
    std::uint32_t at = 0;
    while (reply.data_size - at >= sizeof(Direntplus)) {
        Direntplus entry{};
        std::memcpy(&entry, reply.data + at, sizeof entry);
        offset = entry.dirent.off;
        const std::size_t length = sizeof entry + entry.dirent.namelen;
        at += static_cast<std::uint32_t>((length + record_align - 1) & ~(record_align - 1));
        ++count;
    }
    return count;
}

Subject readdirplus(const Tree& tree) {
    const std::string path = tree.root + "/files";
    return {"readdirplus",
            "entry",
            [](FuseGuest& guest) {
                const auto node = guest.lookup(FUSE_ROOT_ID, "files");
                // A handle for each slot: the position belongs to the handle.
                auto handles = std::make_shared<std::vector<std::uint64_t>>();
                for (int i = 0; i < 1024; ++i) {
                    handles->push_back(guest.open_dir(node));
                }
                constexpr std::uint32_t size = 32768;
                return Workload{
                    "readdirplus",
                    [=](Slot& slot, Request& request) {
                        const auto fh = (*handles)[(slot.queue * 128 + slot.number) % 1024];
                        request.opcode = Opcode::FUSE_READDIRPLUS;
                        request.nodeid = node;
                        request.body_size = slot.put(ReadIn{fh, slot.counter, size, 0, 0, 0, 0});
                        request.data_out = size;
                    },
                    [](Slot& slot, const Reply& reply) {
                        expect(reply, 0, "READDIRPLUS");
                        const auto count = count_entries(reply, slot.counter);
                        if (count == 0) {
                            slot.counter = 0;
                        }
                        return count;
                    }};
            },
            [path] {
                std::uint64_t count = 0;
                DIR* dir = ::opendir(path.c_str());
                while (const dirent* entry = ::readdir(dir)) {
                    struct statx info {};
                    ::statx(
                        ::dirfd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &info);
                    ++count;
                }
                ::closedir(dir);
                return count;
            }};
}

void make_data(const std::string& path, std::uint64_t size, std::uint32_t piece) {
    const auto data = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
    const std::vector<std::byte> content(piece, std::byte{0x5a});
    for (std::uint64_t done = 0; done < size; done += piece) {
        if (::write(data->get(), content.data(), piece) != static_cast<ssize_t>(piece)) {
            fail(path);
        }
    }
    // Not while something is measured.
    if (::fsync(data->get()) != 0) {
        fail(path);
    }
}

} // namespace

void make_tree(const Tree& tree) {
    for (const char* name : {"", "/files", "/scratch"}) {
        if (::mkdir((tree.root + name).c_str(), 0755) != 0 && errno != EEXIST) {
            fail(tree.root + name);
        }
    }
    for (unsigned i = 0; i < tree.files; ++i) {
        open_file(tree.root + "/files/" + file_name(i), O_WRONLY | O_CREAT);
    }
    make_data(fmt::format("{}/{}", tree.root, small_file), tree.small_bytes, small_piece);
    make_data(fmt::format("{}/{}", tree.root, large_file), tree.large_bytes, large_piece);
}

std::vector<Subject> make_subjects(const Tree& tree) {
    std::vector<Subject> subjects{
        getattr(tree), lookup(tree, false), lookup(tree, true), open_release(tree)};
    for (const std::uint32_t size : {small_piece, 65536U, large_piece}) {
        subjects.push_back(read_write(tree, false, size));
        subjects.push_back(read_write(tree, true, size));
    }
    subjects.push_back(create_unlink(tree));
    subjects.push_back(readdirplus(tree));
    return subjects;
}

double run_floor(const Subject& subject, double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    std::uint64_t finished = 0;
    std::chrono::duration<double> elapsed{0};
    while (elapsed.count() < seconds) {
        finished += subject.floor();
        elapsed = Clock::now() - start;
    }
    return static_cast<double>(finished) / elapsed.count();
}

} // namespace vfskit::bench

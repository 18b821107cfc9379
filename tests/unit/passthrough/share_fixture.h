// SPDX-License-Identifier: Apache-2.0
// A PassthroughFs over a temporary directory, and the guest's side of a request in few words.
#pragma once

#include "core/passthrough/passthrough_fs.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::passthrough {

inline std::size_t count_open_fds() {
    const std::filesystem::directory_iterator fds{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

inline fuse::Name make_name(std::string_view text) {
    // Name borrows; tests use literals and strings that outlive the call.
    return fuse::Name::parse(fuse::CString{text.data()}).value();
}

template <class T>
int error_of(const fuse::Outcome<T>& outcome) {
    return outcome ? 0 : static_cast<int>(outcome.error());
}

/// A directory in memory: fast where a test makes thousands of files, and another filesystem.
inline std::unique_ptr<test::TempDir> make_tmpfs_dir() {
    const char* const before = std::getenv("TMPDIR");
    const std::string kept = before != nullptr ? before : "";
    ::setenv("TMPDIR", "/dev/shm", 1);
    auto directory = std::make_unique<test::TempDir>();
    before != nullptr ? ::setenv("TMPDIR", kept.c_str(), 1) : ::unsetenv("TMPDIR");
    return directory;
}

class ShareTest : public ::testing::Test {
protected:
    static constexpr std::uint64_t default_flags =
        fuse::wire::FUSE_CREATE_SUPP_GROUP | fuse::wire::FUSE_ATOMIC_O_TRUNC;

    void start(PassthroughOptions options = {}, std::uint64_t flags = default_flags) {
        start_on(dir_, std::move(options), flags);
    }
    void start_on(const test::TempDir& directory,
                  PassthroughOptions options = {},
                  std::uint64_t flags = default_flags) {
        worker_.reset();
        fs_.reset();
        UniqueFd root{::open(directory.root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        auto fs = PassthroughFs::open(std::move(root), std::move(proc), std::move(options));
        ASSERT_TRUE(fs.has_value()) << fs.error().describe();
        fs_ = std::move(fs).value();
        negotiate(flags);
        worker_ = fs_->make_worker();
    }
    void negotiate(std::uint64_t flags) const {
        fuse::NegotiatedState state;
        state.minor = 38;
        state.flags = flags;
        fs_->init(state);
    }

    [[nodiscard]] fuse::Context context(std::uint32_t uid = 0, std::uint32_t gid = 0) const {
        fuse::Context ctx{*worker_, {}, {}, {}, 0, 0, {}, {}};
        ctx.uid = fuse::GuestUid{uid};
        ctx.gid = fuse::GuestGid{gid};
        return ctx;
    }

    fuse::Outcome<fuse::Entry> lookup(const std::string& name, NodeId parent = NodeId::root) const {
        auto ctx = context();
        return fs_->lookup(ctx, parent, make_name(name));
    }
    NodeId node_of(const std::string& name, NodeId parent = NodeId::root) const {
        const auto entry = lookup(name, parent);
        EXPECT_TRUE(entry.has_value()) << name << ": errno " << error_of(entry);
        return entry ? entry->node : NodeId{};
    }
    fuse::Outcome<HandleId> open(NodeId node, int flags) const {
        auto ctx = context();
        const auto opened = fs_->open(ctx, node, {static_cast<std::uint32_t>(flags), false});
        return opened ? fuse::Outcome<HandleId>{opened->handle} : opened.error();
    }
    fuse::Outcome<fuse::Created>
    create(const std::string& name, int flags, std::uint32_t uid = 0, mode_t mode = 0644) const {
        auto ctx = context(uid, uid);
        return fs_->create(
            ctx, NodeId::root, make_name(name), {mode, static_cast<std::uint32_t>(flags), false});
    }
    fuse::Outcome<std::size_t> write(HandleId handle,
                                     std::string_view text,
                                     off_t offset,
                                     std::uint32_t flags = 0,
                                     bool is_from_cache = false) const {
        auto ctx = context();
        std::string copy{text};
        const iovec data{copy.data(), copy.size()};
        fuse::WriteArgs args;
        args.handle = handle;
        args.offset = offset;
        args.flags = flags;
        args.is_from_cache = is_from_cache;
        return fs_->write(ctx, NodeId{}, args, {&data, 1});
    }
    fuse::Outcome<std::string> read(HandleId handle, std::size_t size, off_t offset = 0) const {
        auto ctx = context();
        std::string text(size, '\0');
        const iovec data{text.data(), text.size()};
        fuse::ReadArgs args;
        args.handle = handle;
        args.offset = offset;
        const auto got = fs_->read(ctx, NodeId{}, args, {&data, 1});
        if (!got) {
            return got.error();
        }
        text.resize(*got);
        return text;
    }
    void release(HandleId handle) const {
        auto ctx = context();
        fuse::ReleaseArgs args;
        args.handle = handle;
        EXPECT_TRUE(fs_->release(ctx, NodeId{}, args).has_value());
    }
    void forget(NodeId node, std::uint64_t count = 1) const {
        auto ctx = context();
        fs_->forget(ctx, node, count);
    }

    struct Listed {
        std::string name;
        NodeId node{};
    };
    /// Lists a directory in replies of `size` bytes.
    std::vector<Listed> list(NodeId node, bool plus, std::size_t size = 4096) const {
        auto ctx = context();
        std::vector<Listed> listed;
        const auto opened = fs_->opendir(ctx, node, {});
        EXPECT_TRUE(opened.has_value()) << error_of(opened);
        std::uint64_t offset = 0;
        for (bool is_more = opened.has_value(); is_more;) {
            std::vector<std::byte> reply(size);
            const iovec out{reply.data(), reply.size()};
            fuse::DirBuffer buffer{{&out, 1}, plus, {}, {}};
            const auto outcome = fs_->readdir(ctx, node, opened->handle, offset, buffer);
            EXPECT_TRUE(outcome.has_value()) << error_of(outcome);
            is_more = outcome.has_value() && buffer.size() != 0;
            offset = parse(reply.data(), buffer.size(), plus, offset, listed);
        }
        fuse::ReleaseArgs args;
        args.handle = opened->handle;
        EXPECT_TRUE(fs_->releasedir(ctx, node, args).has_value());
        return listed;
    }

    [[nodiscard]] struct stat host_stat(const std::string& name) const {
        struct stat status {};
        EXPECT_EQ(::lstat(dir_.path(name).c_str(), &status), 0) << name;
        return status;
    }

    static std::uint64_t parse(const std::byte* at,
                               std::size_t size,
                               bool plus,
                               std::uint64_t offset,
                               std::vector<Listed>& listed) {
        const auto* const end = at + size;
        while (at < end) {
            fuse::wire::Direntplus record{};
            if (plus) {
                std::memcpy(&record, at, sizeof(record));
            } else {
                std::memcpy(&record.dirent, at, sizeof(record.dirent));
            }
            at += plus ? sizeof(record) : sizeof(record.dirent);
            listed.push_back({{reinterpret_cast<const char*>(at), record.dirent.namelen},
                              NodeId{record.entry_out.nodeid}});
            at += (record.dirent.namelen + 7U) & ~7U;
            offset = record.dirent.off;
        }
        return offset;
    }

    test::TempDir dir_;
    std::unique_ptr<PassthroughFs> fs_;
    std::unique_ptr<fuse::Worker> worker_;
};

} // namespace vfskit::passthrough

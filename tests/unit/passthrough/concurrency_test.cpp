// SPDX-License-Identifier: Apache-2.0
// Many workers on one tree at once, with a budget so small that descriptors come and go all the
// time. What it finds it finds under the sanitizers.
#include "tests/unit/passthrough/share_fixture.h"

#include <array>
#include <atomic>
#include <random>
#include <thread>

namespace vfskit::passthrough {
namespace {

using ConcurrencyTest = ShareTest;

/// One guest thread: keeps its own count of references, as a guest's kernel does.
class Guest {
public:
    Guest(PassthroughFs& fs, unsigned seed) : fs_{fs}, worker_{fs.make_worker()}, random_{seed} {}

    void run(int rounds) {
        for (int i = 0; i < rounds; ++i) {
            step(random_() % 8);
        }
    }
    [[nodiscard]] int unexpected() const { return unexpected_; }

private:
    fuse::Context context() { return {*worker_, {}, {}, {}, 0, 0, {}, {}}; }
    std::string any_name() { return "f" + std::to_string(random_() % 16); }
    /// Errors that a race explains are fine, others are not.
    void expect(int error) {
        const bool is_race = error == 0 || error == ENOENT || error == EEXIST || error == ESTALE ||
                             error == EISDIR || error == ENOTDIR;
        unexpected_ += is_race ? 0 : 1;
    }

    void step(unsigned choice) {
        auto ctx = context();
        const auto name = any_name();
        const auto other = any_name();
        switch (choice) {
        case 0:
        case 1:
            use_file(ctx, name);
            break;
        case 2:
            expect(error_of(
                fs_.rename(ctx, NodeId::root, make_name(name), NodeId::root, make_name(other), 0)));
            break;
        case 3:
            expect(error_of(fs_.unlink(ctx, NodeId::root, make_name(name))));
            break;
        case 4:
            list(ctx);
            break;
        default:
            look(ctx, name);
            break;
        }
    }
    void use_file(fuse::Context& ctx, const std::string& name) {
        const auto created = fs_.create(ctx, NodeId::root, make_name(name), {0644, O_RDWR, false});
        expect(error_of(created));
        if (!created) {
            return;
        }
        std::string text = "data";
        const iovec data{text.data(), text.size()};
        fuse::WriteArgs args;
        args.handle = created->opened.handle;
        expect(error_of(fs_.write(ctx, created->entry.node, args, {&data, 1})));
        expect(error_of(fs_.getattr(ctx, created->entry.node, std::nullopt)));
        expect(error_of(
            fs_.release(ctx, created->entry.node, {created->opened.handle, 0, {}, false, false})));
        fs_.forget(ctx, created->entry.node, 1);
    }
    void look(fuse::Context& ctx, const std::string& name) {
        const auto entry = fs_.lookup(ctx, NodeId::root, make_name(name));
        expect(error_of(entry));
        if (entry) {
            expect(error_of(fs_.getattr(ctx, entry->node, std::nullopt)));
            read(ctx, entry->node);
            fs_.forget(ctx, entry->node, 1);
        }
    }
    void read(fuse::Context& ctx, NodeId node) {
        const auto opened = fs_.open(ctx, node, {O_RDONLY, false});
        expect(error_of(opened));
        if (!opened) {
            return;
        }
        std::array<char, 16> text{};
        const iovec data{text.data(), text.size()};
        fuse::ReadArgs args;
        args.handle = opened->handle;
        expect(error_of(fs_.read(ctx, node, args, {&data, 1})));
        expect(error_of(fs_.release(ctx, node, {opened->handle, 0, {}, false, false})));
    }
    void list(fuse::Context& ctx) {
        const auto opened = fs_.opendir(ctx, NodeId::root, {});
        expect(error_of(opened));
        std::vector<std::byte> reply(8192);
        const iovec out{reply.data(), reply.size()};
        fuse::DirBuffer buffer{{&out, 1}, true, {}, {}};
        expect(error_of(fs_.readdir(ctx, NodeId::root, opened->handle, 0, buffer)));
        std::size_t at = 0;
        while (at < buffer.size()) {
            fuse::wire::Direntplus record{};
            std::memcpy(&record, reply.data() + at, sizeof(record));
            if (record.entry_out.nodeid != 0) {
                fs_.forget(ctx, NodeId{record.entry_out.nodeid}, 1);
            }
            at += sizeof(record) + ((record.dirent.namelen + 7U) & ~7U);
        }
        expect(error_of(fs_.releasedir(ctx, NodeId::root, {opened->handle, 0, {}, false, false})));
    }

    PassthroughFs& fs_;
    std::unique_ptr<fuse::Worker> worker_;
    std::minstd_rand random_;
    int unexpected_ = 0;
};

void run_guests(PassthroughFs& fs) {
    constexpr unsigned threads = 6;
    constexpr int rounds = 1500;
    std::atomic<int> unexpected{0};
    std::vector<std::thread> guests;
    for (unsigned i = 0; i < threads; ++i) {
        guests.emplace_back([&fs, &unexpected, i] {
            Guest guest{fs, i + 1};
            guest.run(rounds);
            unexpected += guest.unexpected();
        });
    }
    for (auto& guest : guests) {
        guest.join();
    }
    EXPECT_EQ(unexpected.load(), 0);
    EXPECT_EQ(fs.gauges().inodes, 1U);
    EXPECT_EQ(fs.gauges().handles, 0U);
    EXPECT_EQ(fs.gauges().fds, 0U);
}

TEST_F(ConcurrencyTest, KeepsItsTablesRightWithFileHandles) {
    const auto tree = make_tmpfs_dir();
    PassthroughOptions options;
    options.fd_limit = 12;
    start_on(*tree, std::move(options));
    run_guests(*fs_);
}

TEST_F(ConcurrencyTest, KeepsItsTablesRightByPlaces) {
    const auto tree = make_tmpfs_dir();
    PassthroughOptions options;
    options.file_handles = FileHandleMode::never;
    options.fd_limit = 12;
    start_on(*tree, std::move(options));
    run_guests(*fs_);
}

TEST_F(ConcurrencyTest, KeepsItsTablesRightWhereClosedFilesStayOpen) {
    const auto tree = make_tmpfs_dir();
    PassthroughOptions options;
    options.fd_limit = 256;
    start_on(*tree, std::move(options));
    run_guests(*fs_);
}

} // namespace
} // namespace vfskit::passthrough

// SPDX-License-Identifier: Apache-2.0
// One end of a migration: a PassthroughFs over a directory, and a guest's requests in few words.
#pragma once

#include "core/device_state/load.h"
#include "core/device_state/save.h"
#include "core/device_state/stream.h"
#include "core/passthrough/passthrough_fs.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::test {

using device_state::HandleId;
using device_state::NodeId;

/// Keeps what the operator is told.
class FakeLog final : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel /*level*/) const override { return true; }
    void write(LogLevel /*level*/, std::string_view line) override {
        text += line;
        text += '\n';
    }
    std::string text;
};

inline int error_of(const auto& outcome) {
    return outcome ? 0 : static_cast<int>(outcome.error());
}

inline fuse::NegotiatedState make_negotiated(std::uint64_t flags) {
    return {38, flags, 131072, 1U << 20U, 256};
}

class Side {
public:
    static constexpr std::uint64_t usual_flags =
        fuse::wire::FUSE_CREATE_SUPP_GROUP | fuse::wire::FUSE_SUBMOUNTS;

    explicit Side(const std::string& directory,
                  passthrough::PassthroughOptions options = {},
                  std::uint64_t offered_flags = usual_flags) {
        load_options.offered = make_negotiated(offered_flags);
        load_options.host = {"boot", "machine"};
        save_options.host = load_options.host;
        UniqueFd root{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        auto opened =
            passthrough::PassthroughFs::open(std::move(root), std::move(proc), std::move(options));
        EXPECT_TRUE(opened) << opened.error().describe();
        fs = std::move(opened).value();
        worker = fs->make_worker();
    }

    void mount(std::uint64_t flags = usual_flags) const { fs->init(make_negotiated(flags)); }

    [[nodiscard]] fuse::Context context() const { return {*worker, {}, {}, {}, 0, 0, {}, {}}; }
    static fuse::Name name_of(const std::string& text) {
        return fuse::Name::parse(fuse::CString{text.c_str()}).value();
    }
    [[nodiscard]] fuse::Outcome<fuse::Entry> lookup(NodeId parent, const std::string& name) const {
        auto ctx = context();
        return fs->lookup(ctx, parent, name_of(name));
    }
    [[nodiscard]] NodeId node(const std::string& name, NodeId parent = NodeId::root) const {
        const auto entry = lookup(parent, name);
        EXPECT_TRUE(entry) << name;
        return entry->node;
    }
    [[nodiscard]] fuse::Outcome<fuse::wire::Attr> getattr(NodeId node) const {
        auto ctx = context();
        return fs->getattr(ctx, node, {});
    }
    [[nodiscard]] HandleId open(NodeId node, int flags) const {
        auto ctx = context();
        const auto opened = fs->open(ctx, node, {static_cast<std::uint32_t>(flags), false});
        EXPECT_TRUE(opened);
        return opened->handle;
    }
    [[nodiscard]] fuse::Outcome<std::size_t>
    write(HandleId handle, std::string text, off_t offset) const {
        auto ctx = context();
        const iovec data{text.data(), text.size()};
        fuse::WriteArgs args;
        args.handle = handle;
        args.offset = offset;
        return fs->write(ctx, NodeId{}, args, {&data, 1});
    }
    [[nodiscard]] std::string read(HandleId handle) const {
        auto ctx = context();
        std::string text(256, '\0');
        const iovec data{text.data(), text.size()};
        fuse::ReadArgs args;
        args.handle = handle;
        const auto got = fs->read(ctx, NodeId{}, args, {&data, 1});
        return got ? text.substr(0, *got) : "errno " + std::to_string(error_of(got));
    }
    [[nodiscard]] bool
    rename(NodeId from, const std::string& old_name, NodeId to, const std::string& name) const {
        auto ctx = context();
        return fs->rename(ctx, from, name_of(old_name), to, name_of(name), 0).has_value();
    }
    [[nodiscard]] bool unlink(const std::string& name) const {
        auto ctx = context();
        return fs->unlink(ctx, NodeId::root, name_of(name)).has_value();
    }

    /// Through the bytes, as a migration does.
    [[nodiscard]] device_state::State save() {
        const std::atomic<bool> cancelled{false};
        const auto suspects = device_state::find_suspects(fs->inodes(), cancelled);
        const auto state = device_state::save(*fs, save_options, suspects, log);
        EXPECT_TRUE(state) << state.error().describe();
        auto again = device_state::decode(device_state::encode(*state));
        EXPECT_TRUE(again) << again.error().describe();
        return std::move(again).value();
    }
    Result<fuse::NegotiatedState> load(const device_state::State& state) {
        return device_state::load(state, *fs, load_options, log);
    }

    device_state::SaveOptions save_options;
    device_state::LoadOptions load_options;
    FakeLog log;
    std::unique_ptr<passthrough::PassthroughFs> fs;
    std::unique_ptr<fuse::Worker> worker;
};

} // namespace vfskit::test

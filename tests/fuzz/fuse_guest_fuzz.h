// SPDX-License-Identifier: Apache-2.0
// A guest that speaks FUSE mostly rightly: a fuzzer's input decides what it asks, in which order,
// and where it lies.
#pragma once

#include "core/fuse/session.h"
#include "tests/fuzz/input_bytes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace vfskit::test {

/// How a well-formed request of one opcode looks: words of 4 or 8 bytes, then names, then data.
struct RequestShape {
    fuse::Opcode opcode;
    std::uint8_t size;
    std::uint8_t word;
    std::uint8_t names;
    bool starts_with_handle;
};

class FuzzedGuest final : public fuse::CompletionSink {
public:
    explicit FuzzedGuest(fuse::Session& session)
        : session_{session}, worker_{session.make_worker()} {}
    ~FuzzedGuest() { session_.cancel_parked(fuse::Errno{EINTR}); }
    FuzzedGuest(const FuzzedGuest&) = delete;
    FuzzedGuest& operator=(const FuzzedGuest&) = delete;

    /// At most so many requests of one input: the fuzzer should look for short ones.
    static constexpr int max_requests = 64;

    void run(InputBytes input) {
        send_init(input);
        for (int i = 0; i < max_requests && !input.is_at_end(); ++i) {
            send_one(input);
        }
    }

    void complete(std::uint64_t, std::size_t used) override { check(used); }

private:
    // What an input's byte makes of a request.
    static constexpr std::uint8_t lies_about_length = 1;
    static constexpr std::uint8_t has_little_room = 2;
    static constexpr std::uint8_t is_scattered = 4;
    static constexpr std::uint8_t is_raw = 8;
    static constexpr std::uint8_t has_extensions = 16;
    static constexpr std::uint8_t has_any_node = 32;

    using Bytes = std::vector<char>;

    void send_init(InputBytes& input) {
        fuse::wire::InitIn in{};
        in.major = 7;
        in.minor = 45;
        in.flags = ~input.take<std::uint32_t>();
        in.flags2 = ~input.take<std::uint16_t>();
        std::string body(reinterpret_cast<const char*>(&in), sizeof(in));
        auto header = make_header(fuse::Opcode::FUSE_INIT, body);
        send(header, body, 64, 0);
    }

    void send_one(InputBytes& input) {
        const auto& shapes = request_shapes();
        const auto& shape = shapes[input.take<std::uint8_t>() % shapes.size()];
        // Lies are rare: the upper values of a byte mean an honest request.
        const auto picked = input.take<std::uint8_t>();
        const auto lies = picked < 64 ? picked : static_cast<std::uint8_t>(picked & is_scattered);
        auto body = make_body(shape, lies, input);
        std::uint16_t extension_units = 0;
        if ((lies & has_extensions) != 0) {
            extension_units = add_extension(body, input);
        }
        auto header = make_header(shape.opcode, body);
        header.total_extlen = extension_units;
        header.nodeid = (lies & has_any_node) != 0 ? input.take<std::uint64_t>()
                                                   : pick(nodes_, input.take<std::uint8_t>());
        header.uid = header.gid = input.take<std::uint8_t>() % 2;
        if ((lies & lies_about_length) != 0) {
            header.len = input.take<std::uint32_t>() % 512;
        }
        const std::size_t room =
            (lies & has_little_room) != 0 ? input.take<std::uint8_t>() : std::size_t{4096};
        learn(shape.opcode, send(header, body, room, lies));
    }

    static std::uint64_t pick(const std::vector<std::uint64_t>& known, std::uint8_t choice) {
        return known[choice % known.size()];
    }

    std::string make_body(const RequestShape& shape, std::uint8_t lies, InputBytes& input) const {
        std::string body;
        for (std::size_t at = 0; at < shape.size; at += shape.word) {
            std::uint64_t value = input.take<std::uint8_t>();
            if ((lies & is_raw) != 0) {
                value = input.take<std::uint64_t>();
            } else if (at == 0 && shape.starts_with_handle) {
                value = pick(handles_, static_cast<std::uint8_t>(value));
            }
            body.append(reinterpret_cast<const char*>(&value), shape.word);
        }
        for (int i = 0; i < shape.names; ++i) {
            body += make_name(input);
        }
        add_data(shape, body, lies, input);
        return body;
    }

    /// Data whose size an earlier field tells.
    static void
    add_data(const RequestShape& shape, std::string& body, std::uint8_t lies, InputBytes& input) {
        const bool is_write = shape.opcode == fuse::Opcode::FUSE_WRITE;
        const bool is_setxattr = shape.opcode == fuse::Opcode::FUSE_SETXATTR;
        if (!is_write && !is_setxattr && shape.opcode != fuse::Opcode::FUSE_BATCH_FORGET) {
            return;
        }
        const std::uint32_t size = input.take<std::uint8_t>();
        body.append(size, 'd');
        if ((lies & is_raw) == 0 && (is_write || is_setxattr)) {
            std::memcpy(body.data() + (is_write ? 16 : 0), &size, sizeof(size));
        }
    }

    static std::string make_name(InputBytes& input) {
        static const std::array<std::string, 16> names{"a",
                                                       "b",
                                                       "c",
                                                       "d",
                                                       "user.a",
                                                       "security.selinux",
                                                       "system.posix_acl_access",
                                                       "e",
                                                       "..",
                                                       ".",
                                                       "a/",
                                                       "../",
                                                       "",
                                                       std::string(255, 'n'),
                                                       std::string(256, 'n'),
                                                       "\xff"};
        const auto choice = input.take<std::uint8_t>();
        // Half of the names are the plain ones.
        auto name = names[choice < 128 ? choice % 8 : choice % names.size()];
        if (choice != 255) {
            name.push_back('\0');
        }
        return name;
    }

    static std::uint16_t add_extension(std::string& body, InputBytes& input) {
        const std::uint32_t units = input.take<std::uint8_t>() % 8;
        std::string record(std::size_t{units} * 8, '\0');
        for (auto& byte : record) {
            byte = input.take<char>();
        }
        if (units > 0 && input.take<std::uint8_t>() < 200) {
            const fuse::wire::ExtHeader header{
                .size = units * 8,
                .type = input.take<std::uint8_t>() % 2 == 0 ? fuse::wire::FUSE_EXT_GROUPS : 1};
            std::memcpy(record.data(), &header, sizeof(header));
        }
        body += record;
        return static_cast<std::uint16_t>(units);
    }

    fuse::wire::InHeader make_header(fuse::Opcode opcode, const std::string& body) {
        fuse::wire::InHeader header{};
        header.len = static_cast<std::uint32_t>(sizeof(header) + body.size());
        header.opcode = static_cast<std::uint32_t>(opcode);
        header.unique = ++unique_;
        return header;
    }

    /// Every buffer is an allocation of its own size, so that a sanitizer sees one byte too many.
    Bytes* send(const fuse::wire::InHeader& header,
                const std::string& body,
                std::size_t room,
                std::uint8_t lies) {
        Bytes head(sizeof(header));
        std::memcpy(head.data(), &header, sizeof(header));
        Bytes tail{body.begin(), body.end()};
        const auto out_head = new_buffer(std::min<std::size_t>(room + 8, 16));
        const auto out_tail = new_buffer(room);
        std::vector<iovec> readable;
        std::vector<iovec> writable;
        add_buffer(readable, head, lies);
        add_buffer(readable, tail, lies);
        add_buffer(writable, *out_head, lies);
        add_buffer(writable, *out_tail, lies);
        room_ = out_head->size() + out_tail->size();
        const auto used = session_.handle({readable, writable}, *worker_, *this, header.unique);
        check(used.value_or(0));
        return used.value_or(0) > 16 && out_head->size() == 16 ? out_tail : nullptr;
    }

    static void add_buffer(std::vector<iovec>& parts, Bytes& bytes, std::uint8_t lies) {
        const std::size_t step =
            (lies & is_scattered) != 0 ? 7 : std::max<std::size_t>(bytes.size(), 1);
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            parts.push_back({bytes.data() + at, std::min(step, bytes.size() - at)});
        }
    }

    /// Lives as long as the guest, for a parked request may still write to it.
    Bytes* new_buffer(std::size_t size) {
        buffers_.push_back(std::make_unique<Bytes>(size));
        return buffers_.back().get();
    }

    void check(std::size_t used) const {
        if (used > room_ && used != 16) {
            std::abort();
        }
    }

    void learn(fuse::Opcode opcode, const Bytes* payload) {
        using enum fuse::Opcode;
        if (payload == nullptr) {
            return;
        }
        const auto word_at = [&](std::size_t at) {
            std::uint64_t word = 0;
            if (at + sizeof(word) <= payload->size()) {
                std::memcpy(&word, payload->data() + at, sizeof(word));
            }
            return word;
        };
        const bool creates = opcode == FUSE_CREATE || opcode == FUSE_TMPFILE;
        if (creates || opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_MKNOD ||
            opcode == FUSE_SYMLINK || opcode == FUSE_LINK) {
            nodes_.push_back(word_at(0));
        }
        if (creates || opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) {
            handles_.push_back(word_at(creates ? sizeof(fuse::wire::EntryOut) : 0));
        }
    }

    static const std::vector<RequestShape>& request_shapes() {
        using enum fuse::Opcode;
        static const std::vector<RequestShape> shapes{{FUSE_LOOKUP, 0, 8, 1, false},
                                                      {FUSE_FORGET, 8, 8, 0, false},
                                                      {FUSE_GETATTR, 16, 8, 0, false},
                                                      {FUSE_SETATTR, 88, 4, 0, false},
                                                      {FUSE_READLINK, 0, 8, 0, false},
                                                      {FUSE_SYMLINK, 0, 8, 2, false},
                                                      {FUSE_MKNOD, 16, 4, 1, false},
                                                      {FUSE_MKDIR, 8, 4, 1, false},
                                                      {FUSE_UNLINK, 0, 8, 1, false},
                                                      {FUSE_RMDIR, 0, 8, 1, false},
                                                      {FUSE_RENAME, 8, 8, 2, false},
                                                      {FUSE_LINK, 8, 8, 1, false},
                                                      {FUSE_OPEN, 8, 4, 0, false},
                                                      {FUSE_READ, 40, 8, 0, true},
                                                      {FUSE_WRITE, 40, 8, 0, true},
                                                      {FUSE_STATFS, 0, 8, 0, false},
                                                      {FUSE_RELEASE, 24, 8, 0, true},
                                                      {FUSE_FSYNC, 16, 8, 0, true},
                                                      {FUSE_SETXATTR, 8, 4, 1, false},
                                                      {FUSE_GETXATTR, 8, 4, 1, false},
                                                      {FUSE_LISTXATTR, 8, 4, 0, false},
                                                      {FUSE_REMOVEXATTR, 0, 8, 1, false},
                                                      {FUSE_FLUSH, 24, 8, 0, true},
                                                      {FUSE_INIT, 64, 4, 0, false},
                                                      {FUSE_OPENDIR, 8, 4, 0, false},
                                                      {FUSE_READDIR, 40, 8, 0, true},
                                                      {FUSE_RELEASEDIR, 24, 8, 0, true},
                                                      {FUSE_FSYNCDIR, 16, 8, 0, true},
                                                      {FUSE_GETLK, 48, 8, 0, true},
                                                      {FUSE_SETLK, 48, 8, 0, true},
                                                      {FUSE_SETLKW, 48, 8, 0, true},
                                                      {FUSE_ACCESS, 8, 4, 0, false},
                                                      {FUSE_CREATE, 16, 4, 1, false},
                                                      {FUSE_INTERRUPT, 8, 8, 0, false},
                                                      {FUSE_BMAP, 16, 8, 0, false},
                                                      {FUSE_DESTROY, 0, 8, 0, false},
                                                      {FUSE_IOCTL, 32, 4, 0, false},
                                                      {FUSE_POLL, 24, 8, 0, true},
                                                      {FUSE_NOTIFY_REPLY, 24, 8, 0, false},
                                                      {FUSE_BATCH_FORGET, 8, 4, 0, false},
                                                      {FUSE_FALLOCATE, 32, 8, 0, true},
                                                      {FUSE_READDIRPLUS, 40, 8, 0, true},
                                                      {FUSE_RENAME2, 16, 8, 2, false},
                                                      {FUSE_LSEEK, 24, 8, 0, true},
                                                      {FUSE_COPY_FILE_RANGE, 56, 8, 0, true},
                                                      {FUSE_SETUPMAPPING, 32, 8, 0, true},
                                                      {FUSE_REMOVEMAPPING, 8, 8, 0, false},
                                                      {FUSE_SYNCFS, 8, 8, 0, false},
                                                      {FUSE_TMPFILE, 16, 4, 1, false},
                                                      {FUSE_STATX, 24, 8, 0, false},
                                                      {FUSE_COPY_FILE_RANGE_64, 56, 8, 0, true}};
        return shapes;
    }

    fuse::Session& session_;
    std::unique_ptr<fuse::SessionWorker> worker_;
    std::vector<std::uint64_t> nodes_{1};
    std::vector<std::uint64_t> handles_{0};
    std::vector<std::unique_ptr<Bytes>> buffers_;
    std::uint64_t unique_ = 0;
    std::size_t room_ = 0;
};

/// Options with all features on, or what two bits of the input leave of them.
inline fuse::Options fuzzed_options(InputBytes& input) {
    const auto choice = input.take<std::uint8_t>();
    fuse::Options options;
    options.cache = static_cast<fuse::CachePolicy>(choice % 4);
    options.xattr = (choice & 4) == 0;
    options.posix_lock = options.flock = (choice & 8) == 0;
    options.posix_acl =
        (choice & 16) == 0 ? fuse::FeatureMode::automatic : fuse::FeatureMode::never;
    options.security_label =
        (choice & 32) == 0 ? fuse::FeatureMode::automatic : fuse::FeatureMode::never;
    options.writeback = (choice & 64) != 0;
    options.killpriv_v2 = true;
    options.negative_timeout.seconds = choice >> 7;
    return options;
}

} // namespace vfskit::test

// SPDX-License-Identifier: Apache-2.0
// The guest's side of a FUSE session: builds requests, as a kernel lays them out in buffers, and
// reads replies.
#pragma once

#include "core/fuse/session.h"
#include "core/fuse/wire.h"

#include <sys/uio.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::fuse {

/// The bytes of a request behind its header.
class RequestBytes {
public:
    template <class T>
    RequestBytes& add(const T& value) {
        const auto* bytes = reinterpret_cast<const char*>(&value);
        bytes_.append(bytes, sizeof(T));
        return *this;
    }
    RequestBytes& name(std::string_view text) {
        bytes_.append(text).push_back('\0');
        return *this;
    }
    RequestBytes& raw(std::string_view bytes) {
        bytes_.append(bytes);
        return *this;
    }
    /// One extension record, padded; counted in total_extlen.
    RequestBytes& extension(std::uint32_t type, std::string_view body) {
        const auto size = static_cast<std::uint32_t>(sizeof(wire::ExtHeader) + body.size());
        const auto before = bytes_.size();
        add(wire::ExtHeader{.size = size, .type = type}).raw(body);
        bytes_.resize(before + (size + 7) / 8 * 8);
        extension_units_ = static_cast<std::uint16_t>(extension_units_ + (size + 7) / 8);
        return *this;
    }

    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::uint16_t extension_units() const { return extension_units_; }

private:
    std::string bytes_;
    std::uint16_t extension_units_ = 0;
};

struct Reply {
    bool is_parked = false;
    std::size_t used = 0;
    wire::OutHeader header{};
    std::string payload;

    /// The errno, positive; 0 for success.
    [[nodiscard]] int error() const { return -header.error; }
    template <class T>
    [[nodiscard]] T as(std::size_t offset = 0) const {
        T value{};
        if (offset + sizeof(T) <= payload.size()) {
            std::memcpy(&value, payload.data() + offset, sizeof(T));
        }
        return value;
    }
};

class FuseGuest final : public CompletionSink {
public:
    explicit FuseGuest(Session& session) : session_{session}, worker_{session.make_worker()} {}

    /// Sends as Linux does: the header, the arguments and the reply's header each in a buffer.
    Reply call(wire::Opcode opcode,
               std::uint64_t node,
               const RequestBytes& request = {},
               std::size_t reply_room = 4096) {
        auto header = make_header(opcode, node, request);
        return send(header, request.bytes(), reply_room);
    }

    wire::InHeader
    make_header(wire::Opcode opcode, std::uint64_t node, const RequestBytes& request) {
        wire::InHeader header{};
        header.len = static_cast<std::uint32_t>(sizeof(header) + request.bytes().size());
        header.opcode = static_cast<std::uint32_t>(opcode);
        header.unique = next_unique_;
        next_unique_ += 2;
        header.nodeid = node;
        header.uid = uid;
        header.gid = gid;
        header.pid = 4711;
        header.total_extlen = request.extension_units();
        return header;
    }

    Reply send(wire::InHeader header, std::string body, std::size_t reply_room) {
        iovec readable[] = {{&header, sizeof(header)}, {body.data(), body.size()}};
        auto& memory = replies_[header.unique];
        memory.assign(sizeof(wire::OutHeader) + reply_room, '\xa5');
        iovec writable[] = {{memory.data(), sizeof(wire::OutHeader)},
                            {memory.data() + sizeof(wire::OutHeader), reply_room}};
        return handle({.readable = readable, .writable = writable}, header.unique);
    }

    Reply handle(const Buffers& buffers, std::uint64_t token) {
        const auto used = session_.handle(buffers, *worker_, *this, token);
        if (!used) {
            return {.is_parked = true, .used = 0, .header = {}, .payload = {}};
        }
        return read_reply(buffers.writable, *used);
    }

    Reply init(std::uint64_t flags = ~0ULL, std::uint32_t minor = 45) {
        wire::InitIn in{};
        in.major = 7;
        in.minor = minor;
        in.max_readahead = 131072;
        in.flags = static_cast<std::uint32_t>(flags);
        in.flags2 = static_cast<std::uint32_t>(flags >> 32);
        return call(wire::Opcode::FUSE_INIT, 0, RequestBytes{}.add(in));
    }

    void complete(std::uint64_t token, std::size_t used) override {
        const std::lock_guard lock{mutex_};
        completed_[token] = used;
        changed_.notify_all();
    }
    /// The late reply to the request with that unique number, if it came.
    std::optional<Reply> late_reply(std::uint64_t unique) {
        const std::lock_guard lock{mutex_};
        const auto found = completed_.find(unique);
        if (found == completed_.end()) {
            return std::nullopt;
        }
        auto& memory = replies_[unique];
        const iovec whole{memory.data(), memory.size()};
        return read_reply({&whole, 1}, found->second);
    }
    [[nodiscard]] std::uint64_t last_unique() const { return next_unique_ - 2; }
    [[nodiscard]] SessionWorker& worker() { return *worker_; }

    std::uint32_t uid = 1000;
    std::uint32_t gid = 1000;

private:
    static Reply read_reply(std::span<const iovec> writable, std::size_t used) {
        std::string bytes;
        for (const auto& part : writable) {
            bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
        }
        Reply reply{.is_parked = false, .used = used, .header = {}, .payload = {}};
        if (used >= sizeof(wire::OutHeader)) {
            std::memcpy(&reply.header, bytes.data(), sizeof(wire::OutHeader));
            reply.payload = bytes.substr(sizeof(wire::OutHeader), used - sizeof(wire::OutHeader));
        }
        return reply;
    }

    Session& session_;
    std::unique_ptr<SessionWorker> worker_;
    std::uint64_t next_unique_ = 2;
    std::map<std::uint64_t, std::string> replies_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint64_t, std::size_t> completed_;
};

} // namespace vfskit::fuse

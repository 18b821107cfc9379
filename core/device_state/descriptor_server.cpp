// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/descriptor_server.h"

#include "core/base/bytes.h"
#include "core/device_state/descriptor_packets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace vfskit::device_state {

using passthrough::HandleRef;
using passthrough::InodeFd;
using passthrough::InodeRef;
using std::chrono::steady_clock;

namespace {

Result<uid_t> peer_of(int socket) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return Error::from_errno(errno, "Cannot ask who the caller is");
    }
    return peer.uid;
}

/// Takes as long for every wrong token.
bool is_same(std::span<const std::byte> a, std::span<const std::byte> b) {
    auto difference = a.size() == b.size() ? std::byte{0} : std::byte{1};
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        difference |= a[i] ^ b[i];
    }
    return difference == std::byte{0};
}

std::vector<std::byte> verdict_of(const Error& error) {
    base::ByteWriter writer;
    writer.write(static_cast<std::int32_t>(error.code()));
    writer.write_text(std::string_view{error.message()}.substr(0, max_packet_size / 2));
    return std::move(writer).take();
}

/// What is sent, and what keeps it open until then.
struct Answer {
    std::vector<std::byte> presence;
    std::vector<int> fds;
    std::vector<InodeRef> inodes;
    std::vector<InodeFd> inode_fds;
    std::vector<HandleRef> handles;
    std::vector<UniqueFd> own;

    void add(int fd) {
        presence.push_back(fd >= 0 ? std::byte{1} : std::byte{0});
        if (fd >= 0) {
            fds.push_back(fd);
        }
    }
};

Result<void> collect(base::ByteReader& reader,
                     DescriptorKind kind,
                     std::size_t count,
                     passthrough::PassthroughFs& filesystem,
                     Answer& answer) {
    for (std::size_t i = 0; i < count; ++i) {
        VFSKIT_TRY_ASSIGN(const auto id, reader.read<std::uint64_t>("key of a descriptor"));
        if (kind == DescriptorKind::inode) {
            auto inode = filesystem.inodes().find(NodeId{id});
            if (!inode) {
                answer.add(-1);
                continue;
            }
            auto fd = filesystem.inodes().fd_of(inode);
            answer.add(fd.get());
            answer.inode_fds.push_back(std::move(fd));
            answer.inodes.push_back(std::move(inode));
        } else if (kind == DescriptorKind::handle) {
            auto handle = filesystem.handles().find(HandleId{id});
            answer.add(handle ? handle->fd.get() : -1);
            answer.handles.push_back(std::move(handle));
        } else {
            VFSKIT_TRY_ASSIGN(const auto owner, reader.read<std::uint64_t>("owner of a lock"));
            answer.own.push_back(filesystem.locks().duplicate(NodeId{id}, fuse::LockOwner{owner}));
            answer.add(answer.own.back().get());
        }
    }
    return {};
}

} // namespace

std::vector<uid_t> own_uids(int socket) {
    std::vector<uid_t> uids{::geteuid()};
    if (const auto before = peer_of(socket); before && *before != uids.front()) {
        uids.push_back(*before);
    }
    return uids;
}

DescriptorServer::DescriptorServer(UniqueFd listener,
                                   std::string socket_name,
                                   passthrough::PassthroughFs& filesystem,
                                   LogSink& log,
                                   Options options)
    : listener_{std::move(listener)}, socket_name_{std::move(socket_name)},
      filesystem_{filesystem}, log_{log}, options_{options},
      stop_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, thread_{[this] { run(); }} {}

DescriptorServer::DescriptorServer(UniqueFd listener,
                                   std::string socket_name,
                                   passthrough::PassthroughFs& filesystem,
                                   LogSink& log)
    : DescriptorServer{std::move(listener), std::move(socket_name), filesystem, log, Options{}} {}

DescriptorServer::~DescriptorServer() {
    ::eventfd_write(stop_event_.get(), 1);
    thread_.join();
}

Result<DescriptorOffer> DescriptorServer::offer() {
    DescriptorOffer offer;
    offer.socket_name = socket_name_;
    if (::getrandom(offer.token.data(), offer.token.size(), 0) !=
        static_cast<ssize_t>(offer.token.size())) {
        return Error::from_errno(errno, "Cannot make a token for the migration");
    }
    const std::lock_guard lock{mutex_};
    ++offer_number_;
    has_offer_ = true;
    offer_ = offer;
    expires_ = steady_clock::now() + options_.offer_timeout;
    return offer;
}

void DescriptorServer::withdraw() {
    const std::lock_guard lock{mutex_};
    has_offer_ = false;
    offer_ = {};
    changed_.notify_all();
}

bool DescriptorServer::is_outstanding() const {
    return has_offer_ && steady_clock::now() < expires_;
}

void DescriptorServer::wait_until_taken(std::chrono::milliseconds limit, int stop_fd) {
    constexpr std::chrono::milliseconds step{100}; // for stop_fd
    const auto end = steady_clock::now() + limit;
    std::unique_lock lock{mutex_};
    while (is_outstanding() && steady_clock::now() < end) {
        changed_.wait_for(lock, step);
        pollfd polled{stop_fd, POLLIN, 0};
        if (::poll(&polled, 1, 0) > 0) {
            return;
        }
    }
}

bool DescriptorServer::is_open(std::uint64_t offer) const {
    const std::lock_guard lock{mutex_};
    return is_outstanding() && offer == offer_number_;
}

void DescriptorServer::finish(std::uint64_t offer) {
    const std::lock_guard lock{mutex_};
    if (offer == offer_number_) {
        has_offer_ = false;
        offer_ = {};
        changed_.notify_all();
    }
}

void DescriptorServer::run() {
    for (;;) {
        std::array<pollfd, 2> polled{
            {{listener_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue; // EINTR
        }
        if (polled[1].revents != 0) {
            return;
        }
        UniqueFd connection{
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (connection) {
            converse(std::move(connection));
        } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            // Out of descriptors: poll(2) would report the caller at once for ever.
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }
}

/// Who it is, and which offer it means.
Result<void> DescriptorServer::admit(int connection, std::uint64_t& offer) {
    // Heard out first: a socket that is closed with something unread takes the verdict with it.
    VFSKIT_TRY_ASSIGN(const auto hello,
                      receive_packet(connection,
                                     steady_clock::now() + options_.hello_timeout,
                                     stop_event_.get()));
    VFSKIT_TRY_ASSIGN(const auto peer, peer_of(connection));
    const auto allowed = own_uids(listener_.get());
    if (std::find(allowed.begin(), allowed.end(), peer) == allowed.end()) {
        return Error{EPERM,
                     fmt::format("The destination's daemon runs as user {}, another than the "
                                 "source's",
                                 peer)};
    }
    const std::span bytes{hello.bytes};
    const auto magic = base::as_bytes(descriptor_magic);
    if (bytes.size() != magic.size() + DescriptorOffer::token_size ||
        !is_same(bytes.first(magic.size()), magic)) {
        return Error{EPROTO, "The caller speaks another protocol, or another version of it"};
    }
    const std::lock_guard lock{mutex_};
    if (!is_outstanding()) {
        return Error{ESTALE, "The source's daemon has no migration under way any more"};
    }
    if (!is_same(bytes.subspan(magic.size()), offer_.token)) {
        return Error{EACCES, "The token is not the one of the migration under way"};
    }
    offer = offer_number_;
    return {};
}

/// False: it was the last request.
Result<bool> DescriptorServer::answer(int connection, const Packet& request) {
    const auto deadline = steady_clock::now() + options_.idle_timeout;
    base::ByteReader reader{request.bytes};
    VFSKIT_TRY_ASSIGN(const auto number, reader.read<std::uint32_t>("kind of a request"));
    VFSKIT_TRY_ASSIGN(const auto count, reader.read<std::uint32_t>("size of a request"));
    if (number < 1 || number > static_cast<std::uint32_t>(DescriptorKind::done) ||
        count > max_descriptors) {
        return Error{EPROTO, fmt::format("Request {} for {} descriptors", number, count)};
    }
    const auto kind = static_cast<DescriptorKind>(number);
    base::ByteWriter writer;
    writer.write(std::int32_t{0});
    Answer answer;
    if (kind != DescriptorKind::done) {
        VFSKIT_TRY(collect(reader, kind, count, filesystem_, answer));
    }
    writer.write_bytes(answer.presence);
    VFSKIT_TRY(send_packet(connection, writer.bytes(), answer.fds, deadline, stop_event_.get()));
    return kind != DescriptorKind::done;
}

void DescriptorServer::converse(UniqueFd connection) {
    const auto soon = [this] { return steady_clock::now() + options_.hello_timeout; };
    const auto refuse = [&](const Error& error) {
        log_.write(
            LogLevel::warn,
            fmt::format("A destination was refused the open descriptors: {}", error.message()));
        (void)send_packet(connection.get(), verdict_of(error), {}, soon(), stop_event_.get());
    };
    std::uint64_t offer = 0;
    if (const auto admitted = admit(connection.get(), offer); !admitted) {
        if (admitted.error().code() != ECONNRESET) { // one that only looks who is alive
            refuse(admitted.error());
        }
        return;
    }
    base::ByteWriter yes;
    yes.write(std::int32_t{0});
    auto goes_on = Result<bool>{true};
    if (const auto sent = send_packet(connection.get(), yes.bytes(), {}, soon(), stop_event_.get());
        !sent) {
        return;
    }
    while (goes_on && *goes_on) {
        const auto request = receive_packet(
            connection.get(), steady_clock::now() + options_.idle_timeout, stop_event_.get());
        if (!request) {
            return; // it hung up, or keeps us waiting; it may call again
        }
        if (!is_open(offer)) {
            refuse(Error{ESTALE, "The guest goes on at the source"});
            return;
        }
        goes_on = answer(connection.get(), *request);
    }
    if (!goes_on) {
        refuse(goes_on.error());
        return;
    }
    finish(offer);
    log_.write(LogLevel::info, "The destination has the open descriptors");
}

} // namespace vfskit::device_state

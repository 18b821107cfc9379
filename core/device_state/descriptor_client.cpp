// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/descriptor_client.h"

#include "core/base/bytes.h"
#include "core/device_state/descriptor_packets.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace vfskit::device_state {

namespace {

using std::chrono::steady_clock;

Result<UniqueFd> connect_here(int directory_fd, const std::string& name, Deadline deadline) {
    // The working directory belongs to all threads until they part.
    if (::unshare(CLONE_FS) != 0 || ::fchdir(directory_fd) != 0) {
        return Error::from_errno(errno, "Cannot enter the migration socket directory");
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() >= sizeof(address.sun_path)) {
        return Error{ENAMETOOLONG, "The name of the source's migration socket is too long"};
    }
    std::copy(name.begin(), name.end(), address.sun_path);
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) {
        return Error::from_errno(errno, "Cannot make a socket");
    }
    while (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        if (errno != EAGAIN && errno != EINTR) {
            return Error::from_errno(
                errno, fmt::format("The source's migration socket '{}' cannot be reached", name));
        }
        if (steady_clock::now() >= deadline) {
            return Error{ETIMEDOUT, "The source's daemon has too many callers"};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return socket;
}

Result<UniqueFd> connect_in(int directory_fd, const std::string& name, Deadline deadline) {
    Result<UniqueFd> socket = UniqueFd{};
    std::thread{[&] { socket = connect_here(directory_fd, name, deadline); }}.join();
    return socket;
}

Result<void> check_peer(int socket, const std::vector<uid_t>& allowed) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return Error::from_errno(errno, "Cannot ask who serves the source's migration socket");
    }
    if (std::find(allowed.begin(), allowed.end(), peer.uid) == allowed.end()) {
        return Error{
            EPERM,
            fmt::format("The source's daemon runs as user {}, another than this one", peer.uid)}
            .with_remedy("Run both daemons as one user");
    }
    return {};
}

class Client final : public DescriptorSource {
public:
    Client(UniqueFd socket, const SourceAddress& address)
        : socket_{std::move(socket)}, cancel_fd_{address.cancel_fd}, timeout_{address.timeout} {}

    Result<void> greet(const DescriptorOffer& offer) {
        base::ByteWriter writer;
        writer.write_text(descriptor_magic);
        writer.write_bytes(offer.token);
        VFSKIT_TRY(ask(writer.bytes()));
        return {};
    }

    Result<std::vector<UniqueFd>> fetch_inodes(std::span<const NodeId> ids) override {
        return fetch(DescriptorKind::inode, ids, [](base::ByteWriter& writer, NodeId id) {
            writer.write(static_cast<std::uint64_t>(id));
        });
    }
    Result<std::vector<UniqueFd>> fetch_handles(std::span<const HandleId> ids) override {
        return fetch(DescriptorKind::handle, ids, [](base::ByteWriter& writer, HandleId id) {
            writer.write(static_cast<std::uint64_t>(id));
        });
    }
    Result<std::vector<UniqueFd>> fetch_lock_owners(std::span<const LockKey> keys) override {
        return fetch(
            DescriptorKind::lock_owner, keys, [](base::ByteWriter& writer, const LockKey& key) {
                writer.write(static_cast<std::uint64_t>(key.first));
                writer.write(static_cast<std::uint64_t>(key.second));
            });
    }
    Result<void> finish() override {
        base::ByteWriter writer;
        write_head(writer, DescriptorKind::done, 0);
        VFSKIT_TRY(ask(writer.bytes()));
        return {};
    }

private:
    static void write_head(base::ByteWriter& writer, DescriptorKind kind, std::size_t count) {
        writer.write(static_cast<std::uint32_t>(kind));
        writer.write(static_cast<std::uint32_t>(count));
    }

    /// What stands behind a favourable verdict.
    Result<Packet> ask(std::span<const std::byte> bytes) {
        const auto deadline = steady_clock::now() + timeout_;
        VFSKIT_TRY(send_packet(socket_.get(), bytes, {}, deadline, cancel_fd_));
        VFSKIT_TRY_ASSIGN(auto packet, receive_packet(socket_.get(), deadline, cancel_fd_));
        base::ByteReader reader{packet.bytes};
        VFSKIT_TRY_ASSIGN(const auto verdict, reader.read<std::int32_t>("verdict of the source"));
        if (verdict != 0) {
            VFSKIT_TRY_ASSIGN(const auto text, reader.read_bytes(reader.remaining(), "sentence"));
            return Error{verdict > 0 && verdict < 4096 ? verdict : EPROTO,
                         fmt::format("The source's daemon refused: {}", base::as_text(text))};
        }
        packet.bytes.erase(packet.bytes.begin(), packet.bytes.begin() + sizeof(verdict));
        return packet;
    }

    template <class Key, class Write>
    Result<std::vector<UniqueFd>>
    fetch(DescriptorKind kind, std::span<const Key> keys, Write write) {
        std::vector<UniqueFd> all;
        all.reserve(keys.size());
        while (!keys.empty()) {
            const auto batch = keys.first(std::min(keys.size(), max_descriptors));
            keys = keys.subspan(batch.size());
            base::ByteWriter writer;
            write_head(writer, kind, batch.size());
            for (const auto& key : batch) {
                write(writer, key);
            }
            VFSKIT_TRY_ASSIGN(auto packet, ask(writer.bytes()));
            VFSKIT_TRY(take(packet, batch.size(), all));
        }
        return all;
    }

    static Result<void> take(Packet& packet, std::size_t expected, std::vector<UniqueFd>& all) {
        const auto present = static_cast<std::size_t>(
            std::count(packet.bytes.begin(), packet.bytes.end(), std::byte{1}));
        if (packet.bytes.size() != expected || packet.fds.size() != present) {
            return Error{EPROTO,
                         fmt::format("The source's daemon answered {} of {} and sent {} "
                                     "descriptors",
                                     packet.bytes.size(),
                                     expected,
                                     packet.fds.size())};
        }
        auto fd = packet.fds.begin();
        for (const auto byte : packet.bytes) {
            all.push_back(byte == std::byte{1} ? std::move(*fd++) : UniqueFd{});
        }
        return {};
    }

    const UniqueFd socket_;
    const int cancel_fd_;
    const std::chrono::milliseconds timeout_;
};

} // namespace

Result<std::unique_ptr<DescriptorSource>> connect_to_source(const DescriptorOffer& offer,
                                                            const SourceAddress& address) {
    VFSKIT_TRY_ASSIGN(
        auto socket,
        connect_in(address.directory_fd, offer.socket_name, steady_clock::now() + address.timeout));
    VFSKIT_TRY(check_peer(socket.get(), address.allowed_uids));
    auto client = std::make_unique<Client>(std::move(socket), address);
    VFSKIT_TRY(client->greet(offer));
    return std::unique_ptr<DescriptorSource>{std::move(client)};
}

} // namespace vfskit::device_state

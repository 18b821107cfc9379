// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/state_handler.h"

#include "core/device_state/paths.h"
#include "core/device_state/stream.h"
#include "core/device_state/transfer.h"
#include "core/fuse/negotiation.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace vfskit::virtiofsd {

namespace {

/// What we would agree on with a guest that can do everything.
fuse::NegotiatedState offered_by(const fuse::Options& options) {
    fuse::wire::InitIn guest{};
    guest.major = fuse::wire::FUSE_KERNEL_VERSION;
    guest.minor = fuse::newest_minor;
    guest.max_readahead = UINT32_MAX;
    guest.flags = UINT32_MAX & ~static_cast<std::uint32_t>(fuse::wire::FUSE_INIT_RESERVED);
    guest.flags2 = UINT32_MAX;
    const auto negotiation = fuse::negotiate(options, guest);
    return negotiation ? negotiation->state : fuse::NegotiatedState{};
}

std::string_view word_of(device_state::SaveMode mode) {
    switch (mode) {
    case device_state::SaveMode::find_paths:
        return "find-paths";
    case device_state::SaveMode::file_handles:
        return "file-handles";
    case device_state::SaveMode::fd_passing:
        return "fd-passing";
    }
    return {};
}

control::Passage passage_of(device_state::SaveMode mode,
                            const device_state::UnreachableFile& file) {
    if (file.ino == passthrough::HostIno{}) {
        return control::Passage::none; // lost already
    }
    if (mode == device_state::SaveMode::fd_passing) {
        return control::Passage::same_host;
    }
    return mode == device_state::SaveMode::find_paths && file.has_handle
               ? control::Passage::same_directory
               : control::Passage::none;
}

std::int64_t milliseconds_since(std::chrono::steady_clock::time_point start) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    return duration_cast<milliseconds>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

StateHandler::StateHandler(fuse::Session& session,
                           passthrough::PassthroughFs& filesystem,
                           MigrationOptions options,
                           FdPassing* fd_passing,
                           LogSink& log)
    : session_{session}, filesystem_{filesystem}, options_{std::move(options)},
      fd_passing_{fd_passing}, log_{log}, preparation_{filesystem, options_.save} {}

void StateHandler::withdraw() {
    if (fd_passing_ != nullptr) {
        fd_passing_->server().withdraw();
    }
}

void StateHandler::device_reset() {
    withdraw();
    preparation_.cancel();
    session_.reset();
}

void StateHandler::ring_started() {
    withdraw();
}

void StateHandler::migration_started() {
    withdraw();
    if (options_.save.mode == device_state::SaveMode::file_handles) {
        preparation_.start();
    } else {
        preparation_.start([this](const auto& suspects, const auto& cancelled) {
            tell_of_deleted_files(suspects, cancelled);
        });
    }
}

/// Before the switch-over, so that the operator still has the choice.
void StateHandler::tell_of_deleted_files(const device_state::Suspects& suspects,
                                         const std::atomic<bool>& cancelled) {
    constexpr std::size_t most = 20; // "migration-report" on the control socket has them all
    auto& inodes = filesystem_.inodes();
    const auto deleted = device_state::find_deleted(inodes, suspects, cancelled, most);
    for (const auto id : deleted) {
        const auto inode = inodes.find(id);
        const auto path = inode ? device_state::last_known_path(inodes, inode) : std::string{};
        log_.write(
            options_.save.mode == device_state::SaveMode::find_paths ? LogLevel::warn
                                                                     : LogLevel::info,
            fmt::format("A migration begins while inode {}{} was deleted and is still in use{}",
                        static_cast<std::uint64_t>(id),
                        path.empty() ? "" : fmt::format(" (last seen as '{}')", path),
                        options_.save.mode == device_state::SaveMode::find_paths
                            ? ": only a destination that serves the same directory can take it over"
                            : ""));
    }
}

void StateHandler::migration_stopped() {
    withdraw();
    preparation_.cancel();
}

void StateHandler::front_end_gone(int stop_fd) {
    constexpr std::chrono::seconds moment{10};
    if (fd_passing_ != nullptr) {
        fd_passing_->server().wait_until_taken(moment, stop_fd);
        fd_passing_->server().withdraw();
    }
}

StateHandler::HeldLocks StateHandler::count_locks() {
    HeldLocks held;
    filesystem_.locks().for_each([&held](auto, auto, const auto&) { ++held.posix; });
    filesystem_.handles().for_each(
        [&held](const auto& handle) { held.flocks += handle.has_flock ? 1 : 0; });
    return held;
}

Result<control::MigrationReport> StateHandler::report() {
    if (!session_.export_state().is_initialized()) {
        return Error{ENOTCONN, "No guest has mounted the share"};
    }
    const auto files = device_state::find_unreachable(filesystem_, options_.save);
    control::MigrationReport report;
    report.mode = word_of(options_.save.mode);
    report.inodes = filesystem_.inodes().size();
    report.handles = filesystem_.handles().size();
    const auto held = count_locks();
    report.posix_locks = held.posix;
    report.flocks = held.flocks;
    report.locks_move = options_.save.mode == device_state::SaveMode::fd_passing;
    std::unordered_map<std::uint64_t, std::uint64_t> open_handles;
    filesystem_.handles().for_each([&open_handles](const auto& handle) {
        ++open_handles[static_cast<std::uint64_t>(handle.node)];
    });
    report.unreachable = files.size();
    report.is_truncated = files.size() > control::MigrationReport::max_files;
    for (const auto& file : files) {
        report.deleted += file.is_deleted ? 1 : 0;
        if (report.files.size() < control::MigrationReport::max_files) {
            const auto node = static_cast<std::uint64_t>(file.id);
            const auto open = open_handles.find(node);
            report.files.push_back({node,
                                    static_cast<std::uint64_t>(file.ino),
                                    file.path,
                                    file.is_deleted,
                                    open == open_handles.end() ? 0 : open->second,
                                    passage_of(options_.save.mode, file),
                                    file.reason});
        }
    }
    return report;
}

/// Locks on the host belong to open file descriptions of this process. Without passing those there
/// is a moment between letting go and taking again in which somebody else may have them, and a
/// guest that has lost a lock writes over another's data.
Result<void> StateHandler::check_locks() {
    if (options_.save.mode == device_state::SaveMode::fd_passing) {
        return {};
    }
    const auto held = count_locks();
    if (const auto locks = held.posix + held.flocks; locks != 0) {
        return Error{EBUSY, fmt::format("The guest holds {} file locks on this host", locks)}
            .with_remedy("Migrate when its programs have let go of them, within one host with "
                         "--migration-mode=fd-passing, or serve the share without --posix-lock and "
                         "--flock");
    }
    return {};
}

Result<void> StateHandler::save(UniqueFd fd, int cancel_fd) {
    auto sent = send(std::move(fd), cancel_fd);
    if (!sent) {
        withdraw();
    }
    return sent;
}

Result<void> StateHandler::send(UniqueFd fd, int cancel_fd) {
    const auto start = std::chrono::steady_clock::now();
    VFSKIT_TRY(check_locks());
    VFSKIT_TRY_ASSIGN(auto state, preparation_.save(options_.confirm_paths, log_));
    if (fd_passing_ != nullptr && !state.inodes.empty()) {
        VFSKIT_TRY_ASSIGN(state.trailer->offer, fd_passing_->server().offer());
    }
    const auto bytes = device_state::encode(state);
    VFSKIT_TRY(device_state::write_all(fd.get(), cancel_fd, bytes));
    fd.reset(); // the destination waits for the end
    log_.write(LogLevel::info,
               fmt::format("Sent the state of {} inodes and {} open files in {} bytes, {} ms",
                           state.inodes.size(),
                           state.handles.size(),
                           bytes.size(),
                           milliseconds_since(start)));
    preparation_.clear_up(std::move(state));
    return {};
}

Result<void> StateHandler::take_over(std::span<const std::byte> bytes, int cancel_fd) {
    const auto start = std::chrono::steady_clock::now();
    VFSKIT_TRY_ASSIGN(auto state, device_state::decode(bytes));
    const auto inodes = state.inodes.size();
    const auto handles = state.handles.size();
    device_state::LoadOptions options;
    options.on_error = options_.on_error;
    options.offered = offered_by(session_.options());
    options.announces_submounts = options_.save.announce_submounts;
    options.host = options_.save.host;
    if (fd_passing_ != nullptr) {
        options.connect = [this, cancel_fd](const device_state::DescriptorOffer& offer) {
            return device_state::connect_to_source(offer, fd_passing_->source_address(cancel_fd));
        };
    }
    VFSKIT_TRY_ASSIGN(const auto negotiated,
                      device_state::load(std::move(state), filesystem_, options, log_));
    session_.import_state(negotiated);
    log_.write(LogLevel::info,
               fmt::format("Took over {} inodes and {} open files, {} ms",
                           inodes,
                           handles,
                           milliseconds_since(start)));
    return {};
}

Result<void> StateHandler::load(UniqueFd fd, int cancel_fd) {
    VFSKIT_TRY_ASSIGN(
        const auto bytes,
        device_state::read_to_end(fd.get(), cancel_fd, device_state::max_stream_size));
    // What the session knew belongs to the guest that was here before, in every case.
    session_.reset();
    auto loaded = take_over(bytes, cancel_fd);
    if (!loaded) {
        return std::move(loaded).error().under("Cannot take over the source's state");
    }
    return {};
}

} // namespace vfskit::virtiofsd

// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/save.h"

#include "core/device_state/saver.h"

#include <fmt/format.h>

#include <atomic>

namespace vfskit::device_state {

using passthrough::PassthroughFs;

namespace {

void tell(const UnreachableFile& file, SaveMode mode, LogSink& log) {
    if (file.ino == passthrough::HostIno{}) {
        return; // was told when it was lost
    }
    const auto whom =
        fmt::format("Inode {}{}",
                    static_cast<std::uint64_t>(file.id),
                    file.path.empty() ? "" : fmt::format(" (last seen as '{}')", file.path));
    if (mode == SaveMode::fd_passing) {
        log.write(LogLevel::info,
                  fmt::format("{} goes to the destination as an open descriptor only: {}",
                              whom,
                              file.reason));
    } else if (mode == SaveMode::find_paths && file.has_handle) {
        log.write(LogLevel::warn,
                  fmt::format("{} goes to the destination by its file handle only, which needs the "
                              "same shared directory there: {}",
                              whom,
                              file.reason));
    } else {
        log.write(LogLevel::warn,
                  fmt::format("{} cannot be sent to the destination: {}", whom, file.reason));
    }
}

} // namespace

Result<State> finish(Saver& saver, SaveMode mode, LogSink& log) {
    VFSKIT_TRY(saver.complete());
    for (const auto& file : saver.take_unreachable()) {
        tell(file, mode, log);
    }
    for (const auto id : saver.unverified()) {
        log.write(LogLevel::warn,
                  fmt::format("Inode {} has no file handle to verify; it is sent without",
                              static_cast<std::uint64_t>(id)));
    }
    for (const auto id : saver.orphans()) {
        log.write(LogLevel::warn,
                  fmt::format("Open file {} cannot be sent to the destination: the guest has "
                              "forgotten its inode",
                              static_cast<std::uint64_t>(id)));
    }
    return saver.take_state();
}

Result<State> save(PassthroughFs& filesystem,
                   const SaveOptions& options,
                   const Suspects& suspects,
                   LogSink& log) {
    Saver saver{filesystem, options};
    saver.locate(suspects, std::atomic<bool>{false});
    return finish(saver, options.mode, log);
}

std::vector<UnreachableFile> find_unreachable(PassthroughFs& filesystem,
                                              const SaveOptions& options) {
    const std::atomic<bool> never{false};
    Saver saver{filesystem, options};
    saver.locate(find_suspects(filesystem.inodes(), never), never);
    return saver.take_unreachable();
}

} // namespace vfskit::device_state

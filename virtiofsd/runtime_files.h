// SPDX-License-Identifier: Apache-2.0
// The files that the daemon leaves in the host's filesystem while it runs: its socket and its pid
// file.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"

#include <optional>
#include <string>

namespace vfskit::virtiofsd {

/// One path of ours, held by its directory's descriptor, so that it can be removed after a
/// pivot_root or chroot has put its name out of reach. Removes the file when destroyed, unless
/// forgotten.
class RuntimeFile {
public:
    /// Opens the directory of `path`; the file itself need not exist yet. ENOENT names the missing
    /// directory.
    static Result<RuntimeFile> open(const std::string& path);

    RuntimeFile(RuntimeFile&&) noexcept = default;
    RuntimeFile& operator=(RuntimeFile&& other) noexcept;
    ~RuntimeFile() { remove(); }

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] int directory() const { return directory_.get(); }
    [[nodiscard]] const std::string& name() const { return name_; }
    /// Unlinks it, once. Async-signal-safe apart from the first call's bookkeeping.
    void remove();
    /// From here on somebody else (the process that outlives us) removes it.
    void forget() { directory_.reset(); }

private:
    RuntimeFile(std::string path, UniqueFd directory, std::string name)
        : path_{std::move(path)}, directory_{std::move(directory)}, name_{std::move(name)} {}

    std::string path_;
    UniqueFd directory_;
    std::string name_;
};

/// The pid file "<socket>.pid": created 0600, locked with flock(2) for as long as the process
/// lives, truncated and filled with "PID\n". libvirt reads it.
class PidFile {
public:
    /// EAGAIN when another live daemon holds it.
    static Result<PidFile> create(const std::string& path);
    [[nodiscard]] RuntimeFile& file() { return file_; }

private:
    PidFile(RuntimeFile file, UniqueFd fd) : file_{std::move(file)}, fd_{std::move(fd)} {}

    RuntimeFile file_;
    UniqueFd fd_;
};

/// A listening socket and, where we made it, its file.
struct Listener {
    UniqueFd fd;
    std::optional<RuntimeFile> file;
};

/// Makes the socket: removes a stale one, binds with mode 0700 (0770 with a group), gives it to
/// `group`. EINVAL for a path over 107 bytes or a group that does not exist.
Result<Listener> listen_on(const std::string& path, const std::optional<std::string>& group);

/// Takes an inherited descriptor: it must be a listening UNIX stream socket, else EINVAL. Sets
/// CLOEXEC.
Result<Listener> adopt_listener(int fd);

/// The descriptor that systemd passed (LISTEN_PID, LISTEN_FDS; sd_listen_fds(3)), or nothing. More
/// than one is EINVAL: a daemon serves one socket. Clears the variables.
Result<std::optional<int>> take_activation_fd();

} // namespace vfskit::virtiofsd

// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"

#include "core/base/text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <thread>

namespace vfskit::base {

namespace {

Result<void> write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return Error::from_errno(errno, "Cannot write");
        }
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<std::string> resolve_links(const std::string& path) {
    struct FreeDeleter {
        void operator()(char* p) const {
            std::free(p);
        } // NOLINT: realpath(3) allocates with malloc
    };
    const std::unique_ptr<char, FreeDeleter> resolved{::realpath(path.c_str(), nullptr)};
    if (resolved) {
        return std::string{resolved.get()};
    }
    if (errno == ENOENT) {
        // New file, or a dangling link; a dangling link would be replaced by a file, which its
        // maker did not ask for.
        std::array<char, PATH_MAX> target{};
        if (::readlink(path.c_str(), target.data(), target.size()) >= 0) {
            return Error{ENOENT, "It is a symbolic link to a file that does not exist"}.with_remedy(
                "Create the file it points to, or remove the link");
        }
        return path;
    }
    return Error::from_errno(errno, "Cannot resolve the path");
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes the temporary file unless the rename has taken it away.
class TempFile {
public:
    explicit TempFile(std::string path) : path_{std::move(path)} {}
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;
    ~TempFile() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }
    void renamed() { path_.clear(); }

private:
    std::string path_;
};

Result<UniqueFd> create_temp(const std::string& path, mode_t mode) {
    // A leftover of a killed writer is in the way once; a second one means that somebody races us.
    for (int attempt = 0; attempt < 3; ++attempt) {
        UniqueFd fd{
            ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)};
        if (fd) {
            return fd;
        }
        if (errno != EEXIST) {
            return Error::from_errno(errno, fmt::format("Cannot create '{}'", path));
        }
        ::unlink(path.c_str());
    }
    return Error{EEXIST, fmt::format("Another process keeps creating '{}'", path)};
}

Result<void>
replace_resolved(const std::string& path, std::string_view content, const ReplaceOptions& options) {
    struct stat old {};
    const bool existed = ::stat(path.c_str(), &old) == 0;
    if (existed && !S_ISREG(old.st_mode)) {
        return Error{EINVAL, "Not a regular file"};
    }
    const std::string temp_path = path + options.temp_suffix;
    VFSKIT_TRY_ASSIGN(auto fd, create_temp(temp_path, options.mode));
    TempFile temp{temp_path};
    if (existed) {
        // Best effort: only root may give files away, and pmxcfs allows neither.
        if (::fchown(fd.get(), old.st_uid, old.st_gid) != 0 && errno != EPERM) {
            return Error::from_errno(errno,
                                     fmt::format("Cannot keep the owner on '{}'", temp_path));
        }
        if (::fchmod(fd.get(), old.st_mode & 07777U) != 0 && errno != EPERM) {
            return Error::from_errno(errno, fmt::format("Cannot keep the mode on '{}'", temp_path));
        }
    }
    VFSKIT_TRY(write_all(fd.get(), content));
    if (options.sync && ::fsync(fd.get()) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot sync '{}'", temp_path));
    }
    // close(2) can be the first to report a full network filesystem.
    if (::close(fd.release()) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot finish writing '{}'", temp_path));
    }
    if (::rename(temp_path.c_str(), path.c_str()) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot rename '{}' over it", temp_path));
    }
    temp.renamed();
    if (options.sync) {
        const UniqueFd directory{
            ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        // The new content is in place already; a directory that cannot be synced is not a failed
        // write.
        if (directory) {
            ::fsync(directory.get());
        }
    }
    return {};
}

} // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_size) {
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) {
        return Error::from_errno(errno, "Cannot open").at({path, 0, {}});
    }
    std::string content;
    struct stat info {};
    if (::fstat(fd.get(), &info) == 0 && info.st_size > 0 &&
        static_cast<std::size_t>(info.st_size) <= max_size) {
        content.reserve(static_cast<std::size_t>(info.st_size));
    }
    std::array<char, 65536> buffer{};
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return Error::from_errno(errno, "Cannot read").at({path, 0, {}});
        }
        if (got == 0) {
            return content;
        }
        if (content.size() + static_cast<std::size_t>(got) > max_size) {
            return Error{EFBIG, fmt::format("Larger than the {} bytes allowed", max_size)}.at(
                {path, 0, {}});
        }
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

Result<void>
replace_file(const std::string& path, std::string_view content, const ReplaceOptions& options) {
    auto resolved = resolve_links(path);
    auto replaced = resolved ? replace_resolved(*resolved, content, options)
                             : Result<void>{std::move(resolved).error()};
    if (!replaced) {
        return std::move(replaced).error().at({path, 0, {}});
    }
    return {};
}

Result<FileLock> FileLock::acquire(const std::string& path, std::chrono::milliseconds timeout) {
    UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd) {
        return Error::from_errno(errno, "Cannot open the lock file").at({path, 0, {}});
    }
    constexpr std::chrono::milliseconds pause{10};
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return Error::from_errno(errno, "Cannot lock").at({path, 0, {}});
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            std::array<char, 32> holder{};
            const ssize_t got = ::pread(fd.get(), holder.data(), holder.size(), 0);
            const std::string_view pid =
                trim({holder.data(), got > 0 ? static_cast<std::size_t>(got) : 0});
            return Error{ETIMEDOUT,
                         fmt::format("Another process{} holds the lock",
                                     pid.empty() ? "" : fmt::format(" (pid {})", pid))}
                .at({path, 0, {}})
                .with_remedy("Try again when it has finished");
        }
        std::this_thread::sleep_for(pause);
    }
    // For the error above only; the lock is the flock, so a failed write does not matter.
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) == 0) {
        [[maybe_unused]] const ssize_t written = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
    }
    return FileLock{std::move(fd)};
}

} // namespace vfskit::base

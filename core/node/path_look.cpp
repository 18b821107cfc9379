// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"
#include "core/node/path_probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace vfskit::node {

namespace {

using base::UniqueFd;

void add_problem(PathFacts& facts, const std::string& sentence) {
    facts.problem = facts.problem ? *facts.problem + "; " + sentence : sentence;
}

void add_errno(PathFacts& facts, std::string_view call) {
    add_problem(facts, fmt::format("{}: {}", call, std::strerror(errno)));
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

void look_at_status(PathFacts& facts, int fd) {
    struct statx status {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &status) != 0) {
        add_errno(facts, "statx");
        return;
    }
    facts.is_directory = S_ISDIR(status.stx_mode);
    facts.device_major = status.stx_dev_major;
    facts.device_minor = status.stx_dev_minor;
    facts.inode = status.stx_ino;
    if ((status.stx_mask & STATX_BTIME) != 0) {
        constexpr std::int64_t nanoseconds = 1'000'000'000;
        facts.birth_ns = status.stx_btime.tv_sec * nanoseconds + status.stx_btime.tv_nsec;
    }
}

void look_at_filesystem(PathFacts& facts, int fd) {
    struct statfs filesystem {};
    if (::fstatfs(fd, &filesystem) != 0) {
        add_errno(facts, "statfs");
        return;
    }
    // f_fsid is two 32-bit numbers that libc hides; the kernel counts the first as the lower half.
    std::array<std::uint32_t, 2> halves{};
    static_assert(sizeof(filesystem.f_fsid) == sizeof(halves));
    std::memcpy(halves.data(), &filesystem.f_fsid, sizeof(halves));
    facts.fs_id = std::uint64_t{halves[1]} << 32 | halves[0];
    facts.fs_magic = static_cast<std::uint64_t>(filesystem.f_type);
    const auto block = static_cast<std::uint64_t>(filesystem.f_bsize);
    facts.total_bytes = filesystem.f_blocks * block;
    facts.free_bytes = filesystem.f_bavail * block;
    if (filesystem.f_files != 0) { // btrfs and others count no inodes
        facts.free_inodes = filesystem.f_ffree;
    }
    facts.is_readonly = (static_cast<unsigned long>(filesystem.f_flags) & ST_RDONLY) != 0;
}

void look_at_handle(PathFacts& facts, int fd) {
    struct {
        struct file_handle handle;
        std::array<unsigned char, MAX_HANDLE_SZ> bytes;
    } buffer{};
    auto& handle = buffer.handle;
    handle.handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    facts.name_to_handle_works =
        ::name_to_handle_at(fd, "", &handle, &mount_id, AT_EMPTY_PATH) == 0;
    if (!*facts.name_to_handle_works) {
        facts.open_by_handle_works = false;
        add_errno(facts, "name_to_handle_at");
        return;
    }
    const auto* bytes =
        reinterpret_cast<const unsigned char*>(&buffer) + offsetof(struct file_handle, f_handle);
    facts.root_handle =
        HostFileHandle{.type = handle.handle_type, .bytes = {bytes, bytes + handle.handle_bytes}};
    const UniqueFd again{::open_by_handle_at(fd, &handle, O_PATH | O_CLOEXEC)};
    facts.open_by_handle_works = again.get() >= 0;
    if (!*facts.open_by_handle_works) {
        add_errno(facts, "open_by_handle_at");
    }
}

/// True: the filesystem has such attributes; nothing when it does not say.
std::optional<bool> has_attribute(int fd, const char* name) {
    if (::fgetxattr(fd, name, nullptr, 0) >= 0 || errno == ENODATA) {
        return true;
    }
    return errno == EOPNOTSUPP ? std::optional{false} : std::nullopt;
}

void look_at_entries(PathFacts& facts, int fd) {
    UniqueFd own{::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const std::unique_ptr<DIR, CloseDirectory> directory{own.get() < 0 ? nullptr
                                                                       : ::fdopendir(own.get())};
    if (directory == nullptr) {
        add_errno(facts, "opendir");
        return;
    }
    (void)own.release(); // the stream closes it
    errno = 0;
    while (const auto* entry = ::readdir(directory.get())) {
        const std::string_view name{entry->d_name};
        if (name != "." && name != "..") {
            facts.is_empty = false;
            return;
        }
    }
    if (errno == 0) {
        facts.is_empty = true;
    } else {
        add_errno(facts, "readdir");
    }
}

void look_at_mount(PathFacts& facts, int fd, const std::string& proc) {
    std::array<char, 4096> real{};
    const auto link = fmt::format("{}/self/fd/{}", proc, fd);
    const auto length = ::readlink(link.c_str(), real.data(), real.size());
    const auto mounts = read_mounts(proc);
    if (length <= 0 || !mounts) {
        add_problem(facts, "The mount table cannot be read");
        return;
    }
    const std::string_view path{real.data(), static_cast<std::size_t>(length)};
    const Mount* mount = nullptr;
#ifdef STATX_MNT_ID
    struct statx status {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 &&
        (status.stx_mask & STATX_MNT_ID) != 0) {
        const auto found = std::ranges::find(
            *mounts, status.stx_mnt_id, [](const Mount& m) { return std::uint64_t(m.id); });
        mount = found == mounts->end() ? nullptr : &*found;
    }
#endif
    mount = mount != nullptr ? mount : find_mount(*mounts, path);
    if (mount != nullptr) {
        facts.mount_point = mount->point;
        facts.mount_source = mount->source;
        facts.fs_type = mount->fs_type;
        facts.mount_options = mount->options;
    }
    facts.submounts = find_submounts(*mounts, path);
}

} // namespace

PathFacts look_at(const MappedPath& mapped, const std::string& proc) {
    PathFacts facts;
    facts.dirid = mapped.dirid;
    facts.path = mapped.path;
    facts.state = ProbeState::answered;
    // Opening the directory itself (not O_PATH) also wakes an automount.
    UniqueFd fd{::open(mapped.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const bool is_readable = fd.get() >= 0;
    if (!is_readable) {
        fd = UniqueFd{::open(mapped.path.c_str(), O_PATH | O_CLOEXEC)};
    }
    if (fd.get() < 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            facts.exists = false;
        } else {
            add_errno(facts, "open");
        }
        return facts;
    }
    facts.exists = true;
    look_at_status(facts, fd.get());
    look_at_filesystem(facts, fd.get());
    look_at_mount(facts, fd.get(), proc);
    if (facts.is_directory == false) {
        return facts;
    }
    look_at_handle(facts, fd.get());
    if (!is_readable) {
        add_problem(facts, "The directory may not be read by this user");
        return facts;
    }
    look_at_entries(facts, fd.get());
    facts.supports_xattr = has_attribute(fd.get(), "user.vfskit.probe");
    facts.supports_acl = has_attribute(fd.get(), "system.posix_acl_access");
    return facts;
}

} // namespace vfskit::node

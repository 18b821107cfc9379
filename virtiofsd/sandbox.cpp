// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/sandbox.h"

#include "core/base/process.h"
#include "core/base/text.h"
#include "virtiofsd/capabilities.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

namespace vfskit::virtiofsd {

namespace {

Result<UniqueFd> open_path(int directory, const char* path, int flags, std::string_view what) {
    UniqueFd fd{::openat(directory, path, flags | O_CLOEXEC)};
    if (!fd) {
        return Error::from_errno(errno, fmt::format("Cannot open {}", what));
    }
    return fd;
}

Error system_error(std::string_view doing) {
    return Error::from_errno(errno, doing);
}

// --- user namespace: another process must write the maps, from outside

// Two processes take turns: one asks with a byte, the other answers with a byte, or with a sentence
// that says what went wrong.
class Handshake {
public:
    static Result<Handshake> make() {
        Handshake handshake;
        VFSKIT_TRY(open(handshake.request_));
        VFSKIT_TRY(open(handshake.answer_));
        return handshake;
    }
    void ask() { send(request_[1], done); }
    bool wait_for_ask() { return !receive(request_[0]).empty(); }
    void answer(std::string_view text) { send(answer_[1], text); }
    /// What was answered; nothing if the other process has died.
    std::string wait_for_answer() {
        answer_[1].reset(); // so that its death is an end of file
        return receive(answer_[0]);
    }

    static constexpr std::string_view done{"\1"};

private:
    using Pipe = std::array<UniqueFd, 2>;

    static Result<void> open(Pipe& ends) {
        std::array<int, 2> raw{};
        if (::pipe2(raw.data(), O_CLOEXEC) != 0) {
            return system_error("Cannot create a pipe");
        }
        ends = {UniqueFd{raw[0]}, UniqueFd{raw[1]}};
        return {};
    }
    static void send(const UniqueFd& fd, std::string_view text) {
        // pipe(7): up to PIPE_BUF bytes arrive in one piece.
        text = text.substr(0, PIPE_BUF);
        [[maybe_unused]] const ssize_t sent = ::write(fd.get(), text.data(), text.size());
    }
    static std::string receive(const UniqueFd& fd) {
        std::string text(PIPE_BUF, '\0');
        ssize_t got = 0;
        while ((got = ::read(fd.get(), text.data(), text.size())) < 0 && errno == EINTR) {
        }
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return text;
    }

    Pipe request_;
    Pipe answer_;
};

bool maps_only_itself(const std::vector<NamespaceIdRange>& map, unsigned own_id) {
    return map.size() == 1 && map[0].count == 1 && map[0].outside == own_id;
}

Result<void> write_proc(pid_t pid, const char* name, std::string_view text) {
    const std::string path = fmt::format("/proc/{}/{}", pid, name);
    VFSKIT_TRY_ASSIGN(const auto fd, open_path(AT_FDCWD, path.c_str(), O_WRONLY, path));
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return system_error(fmt::format("Cannot write '{}'", path));
    }
    return {};
}

// user_namespaces(7): a process may map its own id alone; every other map is newuidmap(1)'s to
// write, which checks /etc/subuid.
Result<void>
write_map(pid_t pid, const char* kind, const std::vector<NamespaceIdRange>& map, unsigned own_id) {
    if (maps_only_itself(map, own_id)) {
        if (std::string_view{kind} == "gid") {
            VFSKIT_TRY(write_proc(pid, "setgroups", "deny"));
        }
        return write_proc(pid,
                          kind == std::string_view{"uid"} ? "uid_map" : "gid_map",
                          fmt::format("{} {} 1\n", map[0].inside, map[0].outside));
    }
    ProcessSpec spec{fmt::format("new{}map", kind), {std::to_string(pid)}};
    for (const auto& range : map) {
        for (const auto number : {range.inside, range.outside, range.count}) {
            spec.args.push_back(std::to_string(number));
        }
    }
    VFSKIT_TRY_ASSIGN(const auto ran, base::run_and_capture(spec, std::chrono::seconds{10}));
    if (ran.exit_status != 0) {
        return Error{EPERM, fmt::format("'{}' failed: {}", spec.shell_line(), base::trim(ran.err))}
            .with_remedy(fmt::format("Give this user the range in /etc/sub{}", kind));
    }
    return {};
}

std::vector<NamespaceIdRange> or_itself(std::vector<NamespaceIdRange> map, unsigned own_id) {
    if (map.empty()) {
        map.push_back({own_id, own_id, 1});
    }
    return map;
}

// Starts the process that stays in the old user namespace to write the maps of `child`.
Result<pid_t> start_map_writer(Handshake& handshake, const SandboxRequest& request) {
    const pid_t target = ::getpid();
    const auto uid_map = or_itself(request.uid_map, ::geteuid());
    const auto gid_map = or_itself(request.gid_map, ::getegid());
    const unsigned uid = ::geteuid();
    const unsigned gid = ::getegid();
    const pid_t helper = ::fork();
    if (helper < 0) {
        return system_error("Cannot fork");
    }
    if (helper != 0) {
        return helper;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != target || !handshake.wait_for_ask()) {
        ::_exit(1);
    }
    auto written = write_map(target, "uid", uid_map, uid);
    if (written) {
        written = write_map(target, "gid", gid_map, gid);
    }
    handshake.answer(written ? std::string{Handshake::done} : written.error().describe());
    ::_exit(0);
}

Result<void> enter_namespaces(const SandboxRequest& request, LogSink& log) {
    constexpr int flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET;
    if (::geteuid() == 0) {
        if (::unshare(flags) != 0) {
            return system_error("Cannot create namespaces")
                .with_remedy("Give the daemon CAP_SYS_ADMIN, or use --sandbox=chroot or none");
        }
        return {};
    }
    VFSKIT_TRY_ASSIGN(auto handshake, Handshake::make());
    VFSKIT_TRY_ASSIGN(const pid_t helper, start_map_writer(handshake, request));
    if (::unshare(flags | CLONE_NEWUSER) != 0) {
        return system_error("Cannot create a user namespace")
            .with_remedy("Allow unprivileged user namespaces, or use --sandbox=none");
    }
    handshake.ask();
    const auto answer = handshake.wait_for_answer();
    ::waitpid(helper, nullptr, 0);
    if (answer != Handshake::done) {
        return Error{
            EPERM,
            fmt::format("The id maps of the user namespace could not be written: {}",
                        answer.empty() ? "the process that writes them has died" : answer)};
    }
    // Where id 0 is not mapped (the default map has only our own id) the daemon stays who it is.
    if ((::setresuid(0, 0, 0) != 0 || ::setresgid(0, 0, 0) != 0) &&
        log.is_enabled(LogLevel::warn)) {
        log.write(LogLevel::warn,
                  "Id 0 is not mapped in the user namespace: files belong to the mapped id only");
    }
    return {};
}

// --- the process outside

pid_t daemon_pid = 0; // read by the signal handler

void pass_on(int signal) {
    if (daemon_pid > 0) {
        ::kill(daemon_pid, signal);
    }
}

// Ends as the daemon did; upstream's status for a daemon that a signal ended.
[[noreturn]] void end_as(int status, LogSink& log) {
    if (!WIFSIGNALED(status)) {
        ::_exit(WEXITSTATUS(status));
    }
    log.write(LogLevel::error,
              fmt::format("Child process terminated by signal {}", WTERMSIG(status)));
    ::_exit(-WTERMSIG(status));
}

// Waits for the daemon and ends as it did. Never returns.
[[noreturn]] void stay_outside(pid_t daemon,
                               std::vector<RuntimeFile*>& files,
                               const OutsideStep& outside,
                               LogSink& log) {
    daemon_pid = daemon;
    struct sigaction action {};
    action.sa_handler = pass_on;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        ::sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    outside();
    // All it still has to do is to unlink two files as itself; failing to drop what it does not
    // need is no reason to end the daemon.
    if (::geteuid() == 0) {
        const auto dropped = drop_capabilities({CAP_DAC_OVERRIDE, CAP_KILL});
        static_cast<void>(dropped.has_value());
    }
    int status = 0;
    while (::waitpid(daemon, &status, 0) < 0 && errno == EINTR) {
    }
    for (auto* file : files) {
        file->remove();
    }
    end_as(status, log);
}

// Ties the daemon's life to the process outside. `outside_lives` is the read end of a pipe whose
// other end only that process holds, which tells of a death before the prctl(): getppid() does not
// reach out of the namespace.
Result<void> follow_parent(const UniqueFd& outside_lives) {
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
        return system_error("Cannot watch the parent process");
    }
    pollfd polled{outside_lives.get(), POLLIN, 0};
    if (::poll(&polled, 1, 0) != 0) {
        return Error{ESRCH, "The parent process has gone"};
    }
    return {};
}

// --- the mount namespace

Result<void> mount_proc_self_fd(ShareRoot& share, UniqueFd& proc_self) {
    if (::mount("none", "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
        return system_error("Cannot make the mounts our own");
    }
    // A proc of the new PID namespace: the old one has no /proc/self for us.
    if (::mount("proc", "/proc", "proc", MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RELATIME, nullptr) !=
        0) {
        return system_error("Cannot mount /proc in the sandbox");
    }
    VFSKIT_TRY_ASSIGN(proc_self, open_path(AT_FDCWD, "/proc/self", O_PATH, "'/proc/self'"));
    // Bind it over /proc, so that ".." of the descriptor we keep leads to nothing else of proc.
    if (::mount("/proc/self/fd", "/proc", nullptr, MS_BIND, nullptr) != 0) {
        return system_error("Cannot bind /proc/self/fd");
    }
    VFSKIT_TRY_ASSIGN(share.proc_self_fd, open_path(AT_FDCWD, "/proc", O_PATH, "'/proc/self/fd'"));
    return {};
}

// glibc has these two since 2.36, Debian 12's; the numbers are the same on every architecture.
constexpr unsigned open_tree_clone = 1U | O_CLOEXEC;
constexpr unsigned at_recursive = 0x8000U;

int clone_tree(const char* path, unsigned more_flags) {
    return static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, path, open_tree_clone | more_flags));
}

int attach_tree(int tree, const char* path) {
    return static_cast<int>(
        ::syscall(SYS_move_mount, tree, "", AT_FDCWD, path, 4U /* MOVE_MOUNT_F_EMPTY_PATH */));
}

bool is_same_file(int fd, const char* path) {
    struct stat a {};
    struct stat b {};
    return ::fstat(fd, &a) == 0 && ::stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

// Makes the directory behind `new_root` "/", and the old tree unreachable (pivot_root(2),
// "pivot_root(., .)").
Result<void> pivot_into(int new_root) {
    VFSKIT_TRY_ASSIGN(const auto old_root, open_path(AT_FDCWD, "/", O_DIRECTORY | O_PATH, "'/'"));
    if (::fchdir(new_root) != 0) {
        return system_error("Cannot enter the shared directory");
    }
    if (is_same_file(new_root, "/")) {
        return {};
    }
    if (::syscall(SYS_pivot_root, ".", ".") != 0) {
        return system_error("Cannot make the shared directory the root");
    }
    if (::fchdir(old_root.get()) != 0 || ::mount("", ".", "", MS_SLAVE | MS_REC, nullptr) != 0 ||
        ::umount2(".", MNT_DETACH) != 0 || ::fchdir(new_root) != 0) {
        return system_error("Cannot leave the old root behind");
    }
    return {};
}

// A share that is one file: nothing of the tree is needed, so "/" becomes an empty, read-only
// tmpfs.
Result<void> pivot_into_nothing() {
    if (::mount(
            "tmpfs", "/proc", "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RDONLY, "size=0") !=
        0) {
        return system_error("Cannot mount an empty root");
    }
    VFSKIT_TRY_ASSIGN(const auto empty,
                      open_path(AT_FDCWD, "/proc", O_DIRECTORY | O_PATH, "the empty root"));
    return pivot_into(empty.get());
}

bool is_directory(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// A detached mount is a place of its own: what is in it can be reached, and nothing above.
Result<void> open_migration_dir(const SandboxRequest& request, ShareRoot& share) {
    if (request.migration_dir.empty()) {
        return {};
    }
    const auto* path = request.migration_dir.c_str();
    if (request.mode != SandboxMode::none) {
        share.migration_dir.reset(clone_tree(path, 0));
    }
    if (!share.migration_dir && request.mode != SandboxMode::namespaces) {
        share.migration_dir.reset(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    if (!share.migration_dir) {
        return system_error(fmt::format("Cannot open '{}'", request.migration_dir));
    }
    return {};
}

Result<ShareRoot> enter_mounts(const SandboxRequest& request) {
    ShareRoot share;
    UniqueFd proc_self;
    const bool shares_directory = is_directory(request.shared_dir);
    VFSKIT_TRY(mount_proc_self_fd(share, proc_self));
    VFSKIT_TRY(open_migration_dir(request, share));
    if (shares_directory) {
        const UniqueFd tree{clone_tree(request.shared_dir.c_str(), at_recursive)};
        if (!tree || attach_tree(tree.get(), request.shared_dir.c_str()) != 0) {
            return system_error(fmt::format("Cannot mount '{}' over itself", request.shared_dir))
                .with_remedy("The namespace sandbox needs Linux 5.2 and a root that is a mount; "
                             "--sandbox=chroot and --sandbox=none do not");
        }
    }
    VFSKIT_TRY_ASSIGN(
        share.root,
        open_path(
            AT_FDCWD, request.shared_dir.c_str(), O_PATH, fmt::format("'{}'", request.shared_dir)));
    if (shares_directory) {
        VFSKIT_TRY(pivot_into(share.root.get()));
    } else {
        VFSKIT_TRY(pivot_into_nothing());
    }
    VFSKIT_TRY_ASSIGN(share.mountinfo,
                      open_path(proc_self.get(), "mountinfo", O_RDONLY, "mountinfo"));
    return share;
}

Result<void> drop_supplementary_groups() {
    // Files that only a group of whoever started us may read are none of the guest's business.
    if (::geteuid() == 0 && ::setgroups(0, nullptr) != 0 && errno != EPERM) {
        return system_error("Cannot drop the supplementary groups");
    }
    return {};
}

Result<ShareRoot> open_outside_namespaces(const SandboxRequest& request) {
    ShareRoot share;
    VFSKIT_TRY(open_migration_dir(request, share));
    VFSKIT_TRY_ASSIGN(
        share.proc_self_fd,
        open_path(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, "'/proc/self/fd'"));
    VFSKIT_TRY_ASSIGN(share.mountinfo,
                      open_path(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, "mountinfo"));
    VFSKIT_TRY_ASSIGN(
        share.root,
        open_path(
            AT_FDCWD, request.shared_dir.c_str(), O_PATH, fmt::format("'{}'", request.shared_dir)));
    std::array<char, PATH_MAX> resolved{};
    if (::realpath(request.shared_dir.c_str(), resolved.data()) == nullptr) {
        return system_error(fmt::format("Cannot resolve '{}'", request.shared_dir));
    }
    share.mountinfo_prefix = resolved.data();
    return share;
}

Result<ShareRoot> enter_chroot(const SandboxRequest& request) {
    if (!is_directory(request.shared_dir)) {
        return Error{ENOTDIR, fmt::format("'{}' is not a directory", request.shared_dir)}
            .with_remedy("Share a single file with --sandbox=namespace or --sandbox=none");
    }
    VFSKIT_TRY_ASSIGN(auto share, open_outside_namespaces(request));
    if (::chroot(request.shared_dir.c_str()) != 0 || ::chdir("/") != 0) {
        return system_error(fmt::format("Cannot chroot to '{}'", request.shared_dir));
    }
    return share;
}

Result<ShareRoot> enter_namespace_sandbox(const SandboxRequest& request,
                                          std::vector<RuntimeFile*>& files,
                                          const OutsideStep& outside,
                                          LogSink& log) {
    VFSKIT_TRY(enter_namespaces(request, log));
    std::array<int, 2> life{};
    if (::pipe2(life.data(), O_CLOEXEC) != 0) {
        return system_error("Cannot create a pipe");
    }
    const UniqueFd outside_lives{life[0]};
    UniqueFd outside_end{life[1]};
    const pid_t daemon = ::fork();
    if (daemon < 0) {
        return system_error("Cannot fork");
    }
    if (daemon != 0) {
        stay_outside(daemon, files, outside, log);
    }
    outside_end.reset();
    VFSKIT_TRY(follow_parent(outside_lives));
    for (auto* file : files) {
        file->forget();
    }
    return enter_mounts(request);
}

} // namespace

Result<ShareRoot> enter_sandbox(const SandboxRequest& request,
                                std::vector<RuntimeFile*> files,
                                const OutsideStep& outside,
                                LogSink& log) {
    VFSKIT_TRY(drop_supplementary_groups());
    switch (request.mode) {
    case SandboxMode::namespaces:
        return enter_namespace_sandbox(request, files, outside, log);
    case SandboxMode::chroot:
        return enter_chroot(request);
    case SandboxMode::none:
        return open_outside_namespaces(request);
    }
    return Error{EINVAL, "Unknown sandbox mode"};
}

} // namespace vfskit::virtiofsd

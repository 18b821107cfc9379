// SPDX-License-Identifier: Apache-2.0
#include "tests/system/daemon/daemon_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace vfskit::test {

namespace {

constexpr auto look_interval = std::chrono::milliseconds{5};

std::string read_text(const std::string& path) {
    const std::ifstream file{path, std::ios::binary};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int shell_status(int raw) {
    return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    result.reserve(words.size() + 1);
    for (auto& word : words) {
        result.push_back(word.data());
    }
    result.push_back(nullptr);
    return result;
}

pid_t first_child(pid_t parent) {
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        const std::string name = entry.path().filename();
        if (std::all_of(name.begin(), name.end(), ::isdigit) &&
            proc_field(entry.path() / "status", "PPid") == std::to_string(parent)) {
            return std::stoi(name);
        }
    }
    return -1;
}

void redirect(const std::string& path, int target) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(fd, target);
    ::close(fd);
}

} // namespace

std::string daemon_binary() {
    const char* chosen = std::getenv("VFSKIT_VIRTIOFSD");
    return chosen != nullptr ? chosen : VFSKIT_BUILT_VIRTIOFSD;
}

bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(look_interval);
    }
    return true;
}

Place::Place() : directory_{"/var/tmp"} {
    ::chmod(directory_.root().c_str(), 0755);
    ::mkdir(share().c_str(), 0755);
    ::chmod(share().c_str(), 0755);
}

std::string Place::share(std::string_view name) const {
    return directory_.path("share") + (name.empty() ? "" : "/" + std::string{name});
}

void Place::write(std::string_view name_in_share, std::string_view content) const {
    directory_.write("share/" + std::string{name_in_share}, content);
}

std::string Place::read(std::string_view name_in_share) const {
    return directory_.read("share/" + std::string{name_in_share});
}

std::vector<std::string> Place::arguments(std::vector<std::string> more) const {
    std::vector<std::string> all{"--socket-path=" + socket(), "--shared-dir=" + share()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

DaemonProcess::DaemonProcess(const Start& start) {
    std::vector<std::string> words{daemon_binary()};
    words.insert(words.end(), start.arguments.begin(), start.arguments.end());
    auto argv = pointers(words);
    pid_ = ::fork();
    if (pid_ < 0) {
        throw std::runtime_error{"cannot fork"};
    }
    if (pid_ == 0) {
        redirect(directory_.path("err"), STDERR_FILENO);
        redirect(directory_.path("out"), STDOUT_FILENO);
        start.prepare();
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
}

DaemonProcess::~DaemonProcess() {
    if (is_alive()) {
        const pid_t inner = serving_pid();
        ::kill(inner, SIGKILL);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

pid_t DaemonProcess::serving_pid() const {
    const pid_t child = first_child(pid_);
    return child > 0 ? child : pid_;
}

bool DaemonProcess::is_alive() {
    return !wait_exit(std::chrono::milliseconds{0});
}

std::optional<int> DaemonProcess::wait_exit(std::chrono::milliseconds timeout) {
    wait_until(
        [this] {
            int raw = 0;
            if (!exit_ && ::waitpid(pid_, &raw, WNOHANG) == pid_) {
                exit_ = shell_status(raw);
            }
            return exit_.has_value();
        },
        timeout);
    return exit_;
}

void DaemonProcess::signal(int number) const {
    ::kill(pid_, number);
}

std::string DaemonProcess::log() const {
    return read_text(directory_.path("err"));
}

std::string DaemonProcess::output() const {
    return read_text(directory_.path("out"));
}

bool DaemonProcess::wait_for_log(const std::string& text) const {
    return wait_until([&] { return log().find(text) != std::string::npos; });
}

bool DaemonProcess::wait_ready() {
    wait_until([this] {
        return log().find("Waiting for vhost-user socket connection...") != std::string::npos ||
               !is_alive();
    });
    return is_alive();
}

std::string DaemonProcess::status_field(const std::string& name) const {
    return proc_field("/proc/" + std::to_string(serving_pid()) + "/status", name);
}

std::size_t DaemonProcess::fd_count() const {
    const std::filesystem::directory_iterator fds{"/proc/" + std::to_string(serving_pid()) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

std::string proc_field(const std::string& path, const std::string& name) {
    std::istringstream lines{read_text(path)};
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind(name + ":", 0) == 0) {
            const auto start = line.find_first_not_of(" \t", name.size() + 1);
            return start == std::string::npos ? "" : line.substr(start);
        }
    }
    return "";
}

Ended run_daemon(const std::vector<std::string>& arguments) {
    DaemonProcess daemon{{.arguments = arguments}};
    const auto status = daemon.wait_exit();
    return {status.value_or(-1), daemon.output(), daemon.log()};
}

UniqueFd listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd.get(), 1) != 0) {
        throw std::runtime_error{"cannot listen on " + path};
    }
    return fd;
}

} // namespace vfskit::test

// SPDX-License-Identifier: Apache-2.0
// How much memory of the daemon one known file takes: makes files in memory, looks each up, and
// divides what the heap grew by. The descriptors are bounded by a budget and not counted.
//   vfskit_bench_inode_memory [FILES [never|prefer]]
#include "core/passthrough/passthrough.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

using vfskit::UniqueFd;
namespace fuse = vfskit::fuse;
namespace passthrough = vfskit::passthrough;

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

int fail(const std::string& what) {
    fmt::print(stderr, "{}\n", what);
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    const auto files = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000UL;
    passthrough::PassthroughOptions options;
    options.fd_limit = 256;
    if (argc > 2 && std::string_view{argv[2]} == "never") {
        options.file_handles = passthrough::FileHandleMode::never;
    }
    std::string root = "/dev/shm/vfskit-bench-XXXXXX";
    if (::mkdtemp(root.data()) == nullptr) {
        return fail("cannot make a directory in /dev/shm");
    }
    constexpr unsigned long per_directory = 1000;
    for (unsigned long i = 0; i < files; ++i) {
        const auto directory = fmt::format("{}/{}", root, i / per_directory);
        if (i % per_directory == 0) {
            ::mkdir(directory.c_str(), 0755);
        }
        // Twelve bytes, near the mean of a source tree.
        const auto name = fmt::format("{}/file{:06}.c", directory, i % per_directory);
        const UniqueFd made{::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)};
    }
    UniqueFd root_fd{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    auto opened =
        passthrough::PassthroughFs::open(std::move(root_fd), std::move(proc), std::move(options));
    if (!opened) {
        return fail(opened.error().describe());
    }
    auto& fs = **opened;
    const auto worker = fs.make_worker();
    fuse::Context ctx{*worker, {}, {}, {}, 0, 0, {}, {}};
    const auto before = heap_bytes();
    const auto start = std::chrono::steady_clock::now();
    fuse::NodeId directory{};
    for (unsigned long i = 0; i < files; ++i) {
        if (i % per_directory == 0) {
            const auto name = std::to_string(i / per_directory);
            const auto entry = fs.lookup(
                ctx, fuse::NodeId::root, fuse::Name::parse(fuse::CString{name.c_str()}).value());
            directory = entry ? entry->node : fuse::NodeId{};
        }
        const auto name = fmt::format("file{:06}.c", i % per_directory);
        if (!fs.lookup(ctx, directory, fuse::Name::parse(fuse::CString{name.c_str()}).value())) {
            return fail("a lookup failed");
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const auto grown = heap_bytes() - before;
    utsname system{};
    ::uname(&system);
    fmt::print("linux {} {}, {} inodes known, {} descriptors\n",
               system.release,
               system.machine,
               fs.gauges().inodes,
               fs.gauges().fds);
    fmt::print("{:.1f} bytes of heap per inode (aim: 200), first lookup {:.2f} us each\n",
               static_cast<double>(grown) / static_cast<double>(files),
               took.count() * 1e6 / static_cast<double>(files));
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
    return 0;
}

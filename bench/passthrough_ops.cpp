// SPDX-License-Identifier: Apache-2.0
// What one request costs in this room alone, beside the bare system call that it cannot do without:
// no rings, no decoding. One thread, files in memory.
#include "core/passthrough/passthrough.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace {

using vfskit::UniqueFd;
namespace fuse = vfskit::fuse;
namespace passthrough = vfskit::passthrough;

template <class Body>
double nanoseconds(Body&& body) {
    constexpr int rounds = 100'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) {
        body();
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    return took.count() / rounds;
}

void report(std::string_view what, double ours, double floor) {
    fmt::print(
        "{:<24} {:>8.0f} ns   floor {:>8.0f} ns   ratio {:.2f}\n", what, ours, floor, ours / floor);
}

fuse::Name name_of(const char* text) {
    return fuse::Name::parse(fuse::CString{text}).value();
}

void run(passthrough::PassthroughFs& fs, int directory) {
    const auto worker = fs.make_worker();
    fuse::Context ctx{*worker, {}, {}, {}, 0, 0, {}, {}};
    const auto file = fs.lookup(ctx, fuse::NodeId::root, name_of("file"))->node;
    const UniqueFd path{::openat(directory, "file", O_PATH | O_CLOEXEC)};
    struct statx status {};
    report(
        "getattr",
        nanoseconds([&] { (void)fs.getattr(ctx, file, std::nullopt); }),
        nanoseconds([&] { ::statx(path.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status); }));
    report("lookup, known",
           nanoseconds([&] { (void)fs.lookup(ctx, fuse::NodeId::root, name_of("file")); }),
           nanoseconds([&] {
               ::statx(directory, "file", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);
           }));
    report("lookup, missing",
           nanoseconds([&] { (void)fs.lookup(ctx, fuse::NodeId::root, name_of("none")); }),
           nanoseconds([&] {
               ::statx(directory, "none", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);
           }));
    report("open and release",
           nanoseconds([&] {
               const auto opened = fs.open(ctx, file, {});
               (void)fs.release(ctx, file, {opened->handle, 0, {}, false, false});
           }),
           nanoseconds([&] { const UniqueFd fd{::openat(directory, "file", O_RDONLY)}; }));
    const auto handle = fs.open(ctx, file, {O_RDWR, false})->handle;
    std::array<char, 4096> block{};
    const iovec data{block.data(), block.size()};
    const UniqueFd fd{::openat(directory, "file", O_RDWR | O_CLOEXEC)};
    fuse::ReadArgs read;
    read.handle = handle;
    fuse::WriteArgs write;
    write.handle = handle;
    report("write 4k",
           nanoseconds([&] {
               (void)fs.write(ctx, file, write, {&data, 1});
           }),
           nanoseconds([&] { (void)!::pwritev2(fd.get(), &data, 1, 0, 0); }));
    report("read 4k",
           nanoseconds([&] {
               (void)fs.read(ctx, file, read, {&data, 1});
           }),
           nanoseconds([&] { (void)!::preadv2(fd.get(), &data, 1, 0, 0); }));
    report("create, release, unlink",
           nanoseconds([&] {
               const auto made =
                   fs.create(ctx, fuse::NodeId::root, name_of("new"), {0644, O_RDWR, false});
               (void)fs.release(ctx, made->entry.node, {made->opened.handle, 0, {}, false, false});
               (void)fs.unlink(ctx, fuse::NodeId::root, name_of("new"));
               fs.forget(ctx, made->entry.node, 1);
           }),
           nanoseconds([&] {
               { const UniqueFd made{::openat(directory, "new", O_CREAT | O_EXCL | O_RDWR, 0644)}; }
               ::unlinkat(directory, "new", 0);
           }));
}

} // namespace

int main() {
    std::string root = "/dev/shm/vfskit-bench-XXXXXX";
    if (::mkdtemp(root.data()) == nullptr) {
        fmt::print(stderr, "cannot make a directory in /dev/shm\n");
        return 1;
    }
    UniqueFd root_fd{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const UniqueFd directory{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    { const UniqueFd made{::openat(directory.get(), "file", O_CREAT | O_RDWR | O_CLOEXEC, 0644)}; }
    UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    auto fs = passthrough::PassthroughFs::open(std::move(root_fd), std::move(proc), {});
    if (!fs) {
        fmt::print(stderr, "{}\n", fs.error().describe());
        return 1;
    }
    utsname system{};
    ::uname(&system);
    fmt::print("linux {} {}\n", system.release, system.machine);
    run(**fs, directory.get());
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
    return 0;
}

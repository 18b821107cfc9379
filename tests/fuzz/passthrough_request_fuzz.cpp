// SPDX-License-Identifier: Apache-2.0
// The same sequences against a real directory. Whatever the guest does, a file beside the shared
// directory stays what it is.
#include "core/passthrough/passthrough_fs.h"
#include "tests/fuzz/fuse_guest_fuzz.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>

namespace {

constexpr const char* witness = "untouched";

/// Files must not fill the disk: a write or allocation above this is EFBIG. Called with the first
/// input, because libFuzzer takes SIGXFSZ for itself when it starts.
bool limit_file_size() {
    constexpr rlimit limit{.rlim_cur = 16U << 20, .rlim_max = 16U << 20};
    return ::signal(SIGXFSZ, SIG_IGN) != SIG_ERR && ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using vfskit::UniqueFd;
    static const bool is_limited = limit_file_size();
    if (!is_limited) {
        std::abort();
    }
    const vfskit::test::TempDir dir;
    dir.write("b", witness);
    const auto share = dir.path("share");
    ::mkdir(share.c_str(), 0755);
    vfskit::test::InputBytes input{data, size};
    const auto options = vfskit::test::fuzzed_options(input);
    vfskit::passthrough::PassthroughOptions host_options;
    host_options.xattr = options.has_xattr();
    // A small budget, so that inodes are dropped and reopened.
    host_options.fd_limit = 16;
    auto filesystem = vfskit::passthrough::PassthroughFs::open(
        UniqueFd{::open(share.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)},
        UniqueFd{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)},
        host_options);
    if (!filesystem) {
        std::fprintf(stderr, "%s\n", filesystem.error().describe().c_str());
        std::abort();
    }
    {
        vfskit::fuse::Session session{**filesystem, options};
        vfskit::test::FuzzedGuest{session}.run(input);
    }
    if (dir.read("b") != witness) {
        std::abort();
    }
    return 0;
}

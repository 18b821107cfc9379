// SPDX-License-Identifier: Apache-2.0
// What a large guest knows and has open at its share, for the benchmark of migrations.
#pragma once

#include "bench/fuse_guest.h"

#include <cstdint>
#include <string>
#include <vector>

namespace vfskit::bench {

/// `count` inodes below `root`: directories d0 … with 99 files f0 … each. Those that exist stay.
void make_files(const std::string& root, std::size_t count);

/// One file as the guest knows it.
struct KnownFile {
    std::uint64_t nodeid = 0;
    std::uint64_t ino = 0;
};

/// The guest's knowledge; travels with it. Everything throws on an error.
class KnownFiles {
public:
    /// Lists directories until `guest` knows `count` inodes, and opens `open` of their files.
    void learn(FuseGuest& guest, std::size_t count, std::size_t open);
    /// Renames `count` files there and back, so that their places must be found anew.
    void change(FuseGuest& guest, std::size_t count) const;
    /// Asks for `count` files' attributes and reads from as many open files: all must be what they
    /// were. Seconds per request.
    double use(FuseGuest& guest, std::size_t count) const;

    [[nodiscard]] std::size_t size() const { return files_.size() + directories_.size(); }
    [[nodiscard]] std::size_t open_count() const { return handles_.size(); }

private:
    struct Directory {
        std::uint64_t nodeid = 0;
        std::size_t first_file = 0;
    };
    struct OpenFile {
        std::uint64_t nodeid = 0;
        std::uint64_t fh = 0;
    };
    void list(FuseGuest& guest, const Directory& directory);

    std::vector<Directory> directories_;
    std::vector<KnownFile> files_;
    std::vector<std::string> names_; ///< in step with files_
    std::vector<OpenFile> handles_;
};

} // namespace vfskit::bench

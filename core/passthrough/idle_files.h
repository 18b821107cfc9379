// SPDX-License-Identifier: Apache-2.0
// Descriptors of files that the guest has closed, for when it opens them again: a compiler's
// headers, a shell's libraries. An OPEN that finds one costs no system call, nor does its RELEASE.
//
// Only what reads a regular file of a local filesystem is kept, by its owner's rules: such a
// descriptor keeps nobody from writing, executing or remounting, and holds a file no longer than
// the record's own O_PATH descriptor does, because it goes when the guest forgets or removes the
// file.
#pragma once

#include "core/base/unique_fd.h"
#include "core/fuse/filesystem.h"
#include "core/passthrough/sharded_table.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace vfskit::passthrough {

using fuse::NodeId;

/// Thread-safe. No system call under a shard's mutex.
class IdleFiles {
public:
    /// At most about `limit` descriptors.
    explicit IdleFiles(std::size_t limit) : per_shard_{(limit + shard_count - 1) / shard_count} {}

    /// Keeps `fd`. What had to go for it, or could not be kept, comes back: to be closed.
    [[nodiscard]] UniqueFd put(NodeId node, int flags, UniqueFd fd);
    /// One that was opened with these flags, or none.
    [[nodiscard]] UniqueFd take(NodeId node, int flags);
    /// Closes those of the node, or all of them; how many.
    std::size_t drop(NodeId node);
    std::size_t clear();
    [[nodiscard]] std::size_t size() const;

private:
    struct Entry {
        NodeId node{};
        int flags = 0;
        UniqueFd fd;
    };
    // As many as requests in flight use of one file at once stay in one shard.
    static constexpr std::size_t shard_count = 16;
    struct alignas(64) Shard {
        std::mutex mutex;
        std::vector<Entry> entries;       ///< guarded by mutex; longest unused first
        std::atomic<std::size_t> size{0}; ///< of entries, for a look without the mutex
    };
    Shard& shard_of(NodeId node) {
        return shards_.at(mix(static_cast<std::uint64_t>(node)) % shard_count);
    }
    template <class Matches>
    static std::size_t drop_if(Shard& shard, Matches matches);

    const std::size_t per_shard_;
    std::array<Shard, shard_count> shards_;
};

} // namespace vfskit::passthrough

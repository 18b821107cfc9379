// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/statistics.h"

namespace vfskit::fuse {

namespace {

constexpr std::array<std::string_view, wire::opcode_limit> opcode_names{
    "unknown",      "lookup",
    "forget",       "getattr",
    "setattr",      "readlink",
    "symlink",      "",
    "mknod",        "mkdir",
    "unlink",       "rmdir",
    "rename",       "link",
    "open",         "read",
    "write",        "statfs",
    "release",      "",
    "fsync",        "setxattr",
    "getxattr",     "listxattr",
    "removexattr",  "flush",
    "init",         "opendir",
    "readdir",      "releasedir",
    "fsyncdir",     "getlk",
    "setlk",        "setlkw",
    "access",       "create",
    "interrupt",    "bmap",
    "destroy",      "ioctl",
    "poll",         "notify_reply",
    "batch_forget", "fallocate",
    "readdirplus",  "rename2",
    "lseek",        "copy_file_range",
    "setupmapping", "removemapping",
    "syncfs",       "tmpfile",
    "statx",        "copy_file_range_64"};

} // namespace

std::string_view opcode_name(std::uint32_t opcode) {
    const auto name = opcode < opcode_names.size() ? opcode_names[opcode] : std::string_view{};
    return name.empty() ? opcode_names[0] : name;
}

void StatisticsShard::add_to(Statistics& sum) const {
    const auto get = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
    for (std::size_t opcode = 0; opcode < cells_.size(); ++opcode) {
        const auto& cell = cells_[opcode];
        auto& to = sum.opcodes[opcode];
        to.count += get(cell.count);
        to.errors += get(cell.errors);
        to.total += std::chrono::nanoseconds{get(cell.total_ns)};
        for (std::size_t bucket = 0; bucket < latency_bucket_count; ++bucket) {
            to.latency[bucket] += get(cell.latency[bucket]);
        }
    }
    sum.bytes_read += get(bytes_read_);
    sum.bytes_written += get(bytes_written_);
    sum.unanswerable += get(unanswerable_);
}

Statistics make_statistics_table() {
    Statistics table;
    table.opcodes.resize(wire::opcode_limit);
    for (std::uint32_t opcode = 0; opcode < wire::opcode_limit; ++opcode) {
        table.opcodes[opcode].opcode = opcode;
    }
    return table;
}

void drop_unseen_opcodes(Statistics& statistics) {
    std::erase_if(statistics.opcodes, [](const auto& seen) { return seen.count == 0; });
}

} // namespace vfskit::fuse

// SPDX-License-Identifier: Apache-2.0
// The three ways in which inode records are found.
#pragma once

#include "core/passthrough/inode.h"
#include "core/passthrough/sharded_table.h"

#include <cstdint>
#include <string_view>

namespace vfskit::passthrough {

struct ByIdTraits {
    static std::uint64_t hash(NodeId id) { return mix(static_cast<std::uint64_t>(id)); }
    static std::uint64_t hash(const Inode& inode) { return hash(inode.id); }
};

/// With the birth: a filesystem gives the numbers of removed files away again at once, and a guest
/// that creates and removes files all day may be late to forget the records of that number.
struct ByIdentityTraits {
    static std::uint64_t hash(const HostIdentity& identity) {
        return mix(mix(static_cast<std::uint64_t>(identity.ino) ^
                       (std::uint64_t{identity.device} << 32U)) ^
                   (std::uint64_t{identity.birth} << 32U) ^
                   static_cast<std::uint64_t>(identity.mount));
    }
    static std::uint64_t hash(const Inode& inode) { return hash(inode.identity); }
};

struct ByNameTraits {
    static std::uint64_t hash(NodeId parent, std::string_view name) {
        // FNV-1a, seeded with the directory; the shards are not an attack surface: a guest that
        // makes names collide slows itself down.
        auto value = mix(static_cast<std::uint64_t>(parent)) ^ 0xcbf29ce484222325;
        for (const char c : name) {
            value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        }
        return mix(value);
    }
    static std::uint64_t hash(const Inode& inode) { return hash(inode.parent, inode.name_view()); }
};

using IdTable = ShardedTable<Inode, &Inode::next_by_id, ByIdTraits>;
using IdentityTable = ShardedTable<Inode, &Inode::next_by_identity, ByIdentityTraits>;
using NameTable = ShardedTable<Inode, &Inode::next_by_name, ByNameTraits>;

} // namespace vfskit::passthrough

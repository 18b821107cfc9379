// SPDX-License-Identifier: Apache-2.0
// What the administrator chose for a session.
#pragma once

#include "core/fuse/dir_buffer.h"

#include <cstdint>

namespace vfskit::fuse {

/// How much the guest may keep. `automatic` is "auto" on command lines.
enum class CachePolicy { automatic, always, metadata, never };

/// A feature that needs the guest's help: `automatic` uses it if the guest can, `always` refuses to
/// serve a guest that cannot (INIT fails with EPROTO).
enum class FeatureMode { never, automatic, always };

struct Options {
    CachePolicy cache = CachePolicy::automatic;
    /// How long the guest may believe that a name does not exist. Zero: it asks every time.
    Timeout negative_timeout;
    bool writeback = false;
    /// false answers ENOSYS to all xattr requests. An ACL or label mode but `never` implies it.
    bool xattr = false;
    FeatureMode posix_acl = FeatureMode::never;
    FeatureMode security_label = FeatureMode::never;
    bool killpriv_v2 = false;
    bool readdirplus = true;
    bool allow_mmap = false;
    bool posix_lock = false;
    bool flock = false;
    /// Largest payload of WRITE, in bytes; also bounds every request, with 4096 for its headers.
    std::uint32_t max_write = 1U << 20;
    /// Largest request in pages of 4096 bytes, to READs as well.
    std::uint16_t max_pages = 256;

    [[nodiscard]] bool has_xattr() const {
        return xattr || posix_acl != FeatureMode::never || security_label != FeatureMode::never;
    }
};

/// What a cache policy means in replies.
struct CacheRules {
    Timeout entry_timeout{};
    Timeout attr_timeout{};
    std::uint32_t open_flags = 0;    ///< FOPEN_… for OPEN, CREATE, TMPFILE
    std::uint32_t opendir_flags = 0; ///< FOPEN_… for OPENDIR
};

[[nodiscard]] CacheRules make_cache_rules(CachePolicy policy);

} // namespace vfskit::fuse

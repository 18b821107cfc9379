// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/arguments.h"

#include "core/base/result.h"

#include <linux/limits.h>

namespace vfskit::fuse {

namespace {

// NGROUPS_MAX of Linux: more cannot be set.
constexpr std::size_t max_groups = 65536;

Outcome<void> parse_security_context(Arguments record, std::uint32_t count, Context& ctx) {
    if (count == 0) {
        return {};
    }
    // One label per node is all that Linux can send so far.
    if (count > 1 || ctx.security_context) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto header, record.read<wire::Secctx>());
    VFSKIT_TRY_ASSIGN(const auto name, record.read_xattr_name());
    VFSKIT_TRY_ASSIGN(const auto value, record.read_bytes(header.size));
    ctx.security_context = SecurityContext{.name = name, .value = value};
    return {};
}

Outcome<void> parse_groups(Arguments record, std::vector<GuestGid>& groups) {
    VFSKIT_TRY_ASSIGN(const auto header, record.read<wire::SuppGroups>());
    if (header.nr_groups > max_groups - groups.size()) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto bytes, record.read_bytes(header.nr_groups * sizeof(GuestGid)));
    const auto before = groups.size();
    groups.resize(before + header.nr_groups);
    if (!bytes.empty()) {
        std::memcpy(groups.data() + before, bytes.data(), bytes.size());
    }
    return {};
}

} // namespace

Outcome<std::span<const std::byte>> Arguments::read_bytes(std::size_t size) {
    if (size > rest_.size()) {
        return Errno{EINVAL};
    }
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
}

Outcome<std::span<const std::byte>> Arguments::split_tail(std::size_t size) {
    if (size > rest_.size()) {
        return Errno{EINVAL};
    }
    const auto tail = rest_.last(size);
    rest_ = rest_.first(rest_.size() - size);
    return tail;
}

Outcome<CString> Arguments::read_text() {
    const auto* nul = rest_.empty() ? nullptr : std::memchr(rest_.data(), 0, rest_.size());
    if (nul == nullptr) {
        return Errno{EINVAL};
    }
    const auto* text = reinterpret_cast<const char*>(rest_.data());
    const auto size = static_cast<std::size_t>(static_cast<const std::byte*>(nul) - rest_.data());
    rest_ = rest_.subspan(size + 1);
    return CString{text, size};
}

Outcome<Name> Arguments::read_name() {
    VFSKIT_TRY_ASSIGN(const auto text, read_text());
    return Name::parse(text);
}

Outcome<CString> Arguments::read_xattr_name() {
    VFSKIT_TRY_ASSIGN(const auto text, read_text());
    if (text.size() == 0 || text.size() > XATTR_NAME_MAX) {
        return Errno{ERANGE};
    }
    return text;
}

Outcome<void>
parse_extensions(std::span<const std::byte> bytes, std::vector<GuestGid>& groups, Context& ctx) {
    groups.clear();
    Arguments rest{bytes};
    while (rest.remaining() > 0) {
        VFSKIT_TRY_ASSIGN(const auto header, rest.read<wire::ExtHeader>());
        if (header.size < sizeof(header)) {
            return Errno{EINVAL};
        }
        const auto body_size = header.size - sizeof(header);
        VFSKIT_TRY_ASSIGN(const auto body, rest.read_bytes(body_size));
        VFSKIT_TRY(rest.read_bytes((wire::record_align - body_size % wire::record_align) %
                                   wire::record_align));
        if (header.type <= wire::FUSE_MAX_NR_SECCTX) {
            VFSKIT_TRY(parse_security_context(Arguments{body}, header.type, ctx));
        } else if (header.type == wire::FUSE_EXT_GROUPS) {
            VFSKIT_TRY(parse_groups(Arguments{body}, groups));
        } else {
            return Errno{EINVAL};
        }
    }
    ctx.supplementary_groups = groups;
    return {};
}

} // namespace vfskit::fuse

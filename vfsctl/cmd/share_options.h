// SPDX-License-Identifier: Apache-2.0
// The options of one share, the same in every verb that describes one: daemon command, qemu args,
// xml filesystem, xml patch.
#pragma once

#include "core/base/result.h"
#include "core/share/share.h"
#include "core/store/store.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/services.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::vfsctl {

/// What was said about a share on the command line; absent parts stay at the share's default.
struct ShareOptions {
    std::optional<std::string> tag;
    std::optional<share::OnError> on_error;
    std::optional<share::CachePolicy> cache;
    bool writeback = false;
    bool xattr = false;
    std::optional<std::string> xattrmap;
    std::optional<share::Negotiation> posix_acl;
    std::optional<share::Negotiation> security_label;
    bool readonly = false;
    bool allow_direct_io = false;
    bool allow_mmap = false;
    std::optional<bool> announce_submounts;
    std::optional<share::InodeFileHandles> inode_file_handles;
    std::optional<std::uint32_t> thread_pool_size;
    std::optional<std::uint32_t> request_queues;
    std::optional<std::uint32_t> queue_size;
    std::optional<share::SandboxMode> sandbox;
    std::vector<share::IdRange> uid_map;
    std::vector<share::IdRange> gid_map;
    std::vector<std::string> translate_uid;
    std::vector<std::string> translate_gid;
    std::optional<std::string> modcaps;
    std::optional<std::uint64_t> rlimit_nofile;
};

void bind_share_options(ShareOptions& options, OptionSet& set);
void apply(const ShareOptions& options, share::Share& share);

/// What a domain's <metadata> keeps of these options, so that the daemon can be started again with
/// them: long name and word, flags as "on". ENOTSUP for lists, which have no place there.
Result<std::vector<std::pair<std::string, std::string>>>
recorded_options(const ShareOptions& options);

/// The shares of these mappings on the node in question, with the options applied to each. ENOENT
/// as require_mapping() and require_node(); EINVAL for --tag with more than one mapping.
Result<std::vector<share::Share>>
make_shares(Services& services, std::span<const std::string> ids, const ShareOptions& options);

/// "on" and "off".
Result<bool> parse_on_off(std::string_view word);

/// "GUEST:HOST:COUNT", all decimal.
Result<share::IdRange> parse_id_range(std::string_view word);

/// Where a share's daemon listens unless told otherwise: /run/vfskit/VM/TAG.sock, bytes that do not
/// belong into a file name as %NN. EINVAL for a VM name that is no file name.
Result<std::string> default_socket(std::string_view vm, std::string_view tag);

} // namespace vfskit::vfsctl

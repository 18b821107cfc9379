// SPDX-License-Identifier: Apache-2.0
// etcd://[USER@]HOST[:PORT][,HOST…]/PREFIX[?NAME=VALUE&…], etcds:// for TLS.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

struct EtcdUrl {
    std::vector<std::string> endpoints; ///< "https://host:2379", in the order given
    std::string prefix;                 ///< "/vfskit", no slash at the end; "" for none
    /// Files for TLS. Without `ca` the system's authorities are trusted.
    std::optional<std::string> ca;
    std::optional<std::string> cert;
    std::optional<std::string> key;
    std::optional<std::string> user;
    /// Its first line is the password, so that none stands in a command line.
    std::optional<std::string> password_file;
    /// Where the last content that was read is kept for when no member answers.
    std::string cache_directory = "/var/lib/vfskit/cache";

    bool operator==(const EtcdUrl&) const = default;
};

bool is_etcd_url(std::string_view url);

/// EINVAL names what is wrong, with the form above. Parameters: ca, cert, key, user, password-file,
/// cache.
Result<EtcdUrl> parse_etcd_url(std::string_view url);

} // namespace vfskit::store

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vfskit::base {

/// SHA-1 (FIPS 180-4) of `bytes` as 40 lower-case hex digits: the digest that Proxmox VE names a
/// configuration's content by. It tells contents apart; it is no protection against somebody who
/// makes two with the same digest.
std::string sha1_hex(std::string_view bytes);

} // namespace vfskit::base

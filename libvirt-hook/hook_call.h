// SPDX-License-Identifier: Apache-2.0
// How libvirt calls a qemu hook: HOOK DOMAIN OPERATION SUB-OPERATION EXTRA, the domain's XML on
// standard input.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace vfskit::libvirt_hook {

/// The operations that mean something to us; every other word is `other`.
enum class HookOperation {
    migrate,   ///< an incoming migration begins: standard output replaces the XML
    restore,   ///< a saved domain is about to be restored: likewise
    prepare,   ///< a domain is about to start
    release,   ///< a domain has ended and everything of it is free
    reconnect, ///< libvirt's daemon was started again; a failure would kill the guest
    other,
};

struct HookCall {
    std::string object; ///< the domain's name
    HookOperation operation = HookOperation::other;
    std::string sub_operation;
    std::string extra;
};

/// Missing words are empty; a call that is not one of libvirt's is `other`.
HookCall parse_call(std::span<const std::string> words);

} // namespace vfskit::libvirt_hook

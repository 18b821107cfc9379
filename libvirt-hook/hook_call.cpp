// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/hook_call.h"

#include <array>
#include <utility>

namespace vfskit::libvirt_hook {

namespace {

constexpr std::array<std::pair<std::string_view, HookOperation>, 5> operations{{
    {"migrate", HookOperation::migrate},
    {"restore", HookOperation::restore},
    {"prepare", HookOperation::prepare},
    {"release", HookOperation::release},
    {"reconnect", HookOperation::reconnect},
}};

} // namespace

HookCall parse_call(std::span<const std::string> words) {
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string{}; };
    HookCall call{word(0), HookOperation::other, word(2), word(3)};
    for (const auto& [name, operation] : operations) {
        if (word(1) == name) {
            call.operation = operation;
        }
    }
    return call;
}

} // namespace vfskit::libvirt_hook

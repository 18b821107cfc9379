// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/capabilities.h"

#include "core/base/text.h"
#include "core/option_grammar/capability_changes.h"

#include <cap-ng.h>
#include <fmt/format.h>
#include <linux/capability.h>

#include <cerrno>
#include <vector>

namespace vfskit::virtiofsd {

CapabilitySet needed_capabilities(bool uses_file_handles) {
    CapabilitySet set{CAP_CHOWN,
                      CAP_DAC_OVERRIDE,
                      CAP_FOWNER,
                      CAP_FSETID,
                      CAP_SETGID,
                      CAP_SETUID,
                      CAP_MKNOD,
                      CAP_SETFCAP};
    if (uses_file_handles) {
        set.insert(CAP_DAC_READ_SEARCH);
    }
    return set;
}

namespace {

Error unknown_capability(const std::string& name) {
    std::vector<std::string_view> names;
    for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
        if (const char* known = capng_capability_to_name(static_cast<unsigned>(capability))) {
            names.emplace_back(known);
        }
    }
    Error error{EINVAL, fmt::format("Unknown capability '{}' in --modcaps", name)};
    const auto near = base::nearest(name, names);
    return std::move(error).with_remedy(near ? fmt::format("Did you mean '{}'?", *near)
                                             : "See capabilities(7); names go without CAP_");
}

} // namespace

Result<CapabilitySet>
modify_capabilities(CapabilitySet set, std::string_view modcaps, bool uses_file_handles) {
    VFSKIT_TRY_ASSIGN(const auto changes, option_grammar::parse_capability_changes(modcaps));
    for (const auto& change : changes) {
        const int capability = capng_name_to_capability(change.name.c_str());
        if (capability < 0) {
            return unknown_capability(change.name);
        }
        if (change.adds) {
            set.insert(capability);
        } else if (capability == CAP_DAC_READ_SEARCH && uses_file_handles) {
            return Error{EINVAL, "--modcaps removes dac_read_search, which file handles need"}
                .with_remedy("Use --inode-file-handles=never with it");
        } else {
            set.erase(capability);
        }
    }
    return set;
}

Result<void> check_capabilities(const CapabilitySet& keep) {
    auto needed = keep;
    needed.insert(CAP_SETPCAP);
    if (capng_get_caps_process() != 0) {
        return Error{EPERM, "Cannot read the capabilities of the process"};
    }
    std::string missing;
    for (const int capability : needed) {
        const auto number = static_cast<unsigned>(capability);
        if (capng_have_capability(CAPNG_EFFECTIVE, number) == 0) {
            missing +=
                fmt::format("{}{}", missing.empty() ? "" : ", ", capng_capability_to_name(number));
        }
    }
    if (!missing.empty()) {
        return Error{EPERM, fmt::format("The daemon runs as root without {}", missing)}.with_remedy(
            "Give it these capabilities, or start it as an ordinary user");
    }
    return {};
}

Result<void> drop_capabilities(const CapabilitySet& keep) {
    capng_clear(CAPNG_SELECT_BOTH);
    for (const int capability : keep) {
        if (capng_update(CAPNG_ADD,
                         static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
                         static_cast<unsigned>(capability)) != 0) {
            return Error{EINVAL, fmt::format("Cannot select capability {}", capability)};
        }
    }
    if (const int failed = capng_apply(CAPNG_SELECT_BOTH); failed != 0) {
        // capng_apply(3): -1 not initialised, -2 the bounding set, -3..-5 capset and ambient.
        return Error{EPERM,
                     fmt::format("Cannot apply the capabilities (libcap-ng error {})", failed)};
    }
    return {};
}

} // namespace vfskit::virtiofsd

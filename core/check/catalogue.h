// SPDX-License-Identifier: Apache-2.0
// Every finding that there is: its code, what it means and what to do. The manual page's section
// and `vfsctl check --explain` are made from it. Codes never change their meaning; new ones take
// free numbers.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vfskit::check {

enum class Severity { note, warning, blocker };
std::string_view to_string(Severity severity); ///< note, warning, blocker

/// The number is that of the text form: Code{12} is "VFS-C012".
enum class Code : std::uint16_t {
    // What is known.
    source_facts_missing = 1,
    target_facts_missing = 2,
    facts_too_old = 3,
    deciding_fact_unknown = 4,
    target_is_source = 5,
    guest_not_on_source = 6,
    fact_unknown = 7,
    description_incomplete = 8,
    // The mapping.
    mapping_missing = 10,
    share_not_mapped = 11,
    no_path_on_target = 12,
    no_path_on_source = 13,
    method_not_set = 14,
    method_between_replicas = 15,
    source_path_differs = 16,
    // The directory on the target.
    path_missing = 20,
    path_not_directory = 21,
    path_not_mounted = 22,
    path_hangs = 23,
    // Whether both ends have one directory.
    file_handles_unsupported = 30,
    capability_missing = 31,
    different_directories = 32,
    same_directory_unproved = 33,
    replicas_verify_handles = 34,
    declared_same_but_different = 35,
    declared_same_unproved = 36,
    copies_not_compared = 37,
    // The daemons.
    target_daemon_missing = 40,
    source_daemon_too_old = 41,
    target_daemon_too_old = 42,
    method_unknown_to_daemon = 43,
    source_daemon_dead = 44,
    source_daemon_unknown = 45,
    daemon_runs_other_method = 46,
    daemon_runs_other_flags = 47,
    option_missing_on_target = 48,
    nobody_listens = 49,
    binary_missing = 50,
    option_differs = 51,
    // QEMU and libvirt.
    source_qemu_too_old = 60,
    target_qemu_too_old = 61,
    source_libvirt_too_old = 62,
    one_way_door = 63,
    libvirt_restarted = 64,
    persistent_stores_source_path = 65,
    hook_missing = 66,
    hook_not_loaded = 67,
    // The VM and the way it is moved.
    memory_not_shared = 70,
    memory_hotplug = 71,
    hugepages_missing = 72,
    post_copy = 73,
    snapshots_present = 74,
    ninep_mounted = 75,
    ninep_configured = 76,
    ninep_unknown = 77,
    ninep_several_devices = 78,
    unix_socket_required = 79,
    fd_passing_two_hosts = 80,
    cache_always_with_replicas = 81,
    tag_too_long = 82,
    duplicate_tag = 83,
    memory_short = 84,
    // What the guest has open.
    open_files_unreachable = 90,
    open_files_will_fail = 91,
    open_files_unknown = 92,
    locks_held = 93,
    // Proxmox VE.
    return_path_off = 100,
    memory_state_without_method = 101,
    memory_state_with_method = 102,
    no_fixed_address = 103,
    plugin_missing = 104,
};

/// One code's entry. Texts are sentences with full stops, for people who look the code up.
struct CatalogueEntry {
    Code code;
    Severity severity;
    std::string_view title;  ///< a few words, no full stop
    std::string_view reason; ///< why it matters: what would happen
    std::string_view remedy; ///< what to do; one imperative sentence, no full stop
};

/// All entries by code.
std::span<const CatalogueEntry> catalogue();
/// The entry of a code; every enumerator has one.
const CatalogueEntry& describe(Code code);
/// "VFS-C012".
std::string to_string(Code code);
/// The entry that "VFS-C012" (or "C012", in any case) names. ENOENT says how codes look.
Result<const CatalogueEntry*> find_entry(std::string_view text);

} // namespace vfskit::check

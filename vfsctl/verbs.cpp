// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/verbs.h"

#include "vfsctl/cmd/attach.h"
#include "vfsctl/cmd/check.h"
#include "vfsctl/cmd/complete_tree.h"
#include "vfsctl/cmd/complete_words.h"
#include "vfsctl/cmd/completion.h"
#include "vfsctl/cmd/daemon_command.h"
#include "vfsctl/cmd/daemon_list.h"
#include "vfsctl/cmd/daemon_log_level.h"
#include "vfsctl/cmd/daemon_start.h"
#include "vfsctl/cmd/daemon_status.h"
#include "vfsctl/cmd/daemon_stop.h"
#include "vfsctl/cmd/detach.h"
#include "vfsctl/cmd/drain.h"
#include "vfsctl/cmd/guest_cloud_init.h"
#include "vfsctl/cmd/guest_dracut.h"
#include "vfsctl/cmd/guest_fstab.h"
#include "vfsctl/cmd/guest_kubevirt.h"
#include "vfsctl/cmd/guest_systemd.h"
#include "vfsctl/cmd/mapping_add.h"
#include "vfsctl/cmd/mapping_doctor.h"
#include "vfsctl/cmd/mapping_export.h"
#include "vfsctl/cmd/mapping_import.h"
#include "vfsctl/cmd/mapping_list.h"
#include "vfsctl/cmd/mapping_remove.h"
#include "vfsctl/cmd/mapping_set.h"
#include "vfsctl/cmd/mapping_show.h"
#include "vfsctl/cmd/migrate.h"
#include "vfsctl/cmd/node_facts.h"
#include "vfsctl/cmd/node_list.h"
#include "vfsctl/cmd/node_publish.h"
#include "vfsctl/cmd/qemu_args.h"
#include "vfsctl/cmd/restore.h"
#include "vfsctl/cmd/save.h"
#include "vfsctl/cmd/sync.h"
#include "vfsctl/cmd/top.h"
#include "vfsctl/cmd/watch.h"
#include "vfsctl/cmd/xml_filesystem.h"
#include "vfsctl/cmd/xml_memory.h"
#include "vfsctl/cmd/xml_patch.h"

namespace vfskit::vfsctl {

VerbTable all_verbs() {
    // One verb a line, so that two branches that add one merge.
    // clang-format off
    return {.verbs =
                {
                    attach_verb(),
                    check_verb(),
                    complete_tree_verb(),
                    complete_words_verb(),
                    completion_verb(),
                    daemon_command_verb(),
                    daemon_list_verb(),
                    daemon_log_level_verb(),
                    daemon_start_verb(),
                    daemon_status_verb(),
                    daemon_stop_verb(),
                    detach_verb(),
                    drain_verb(),
                    guest_cloud_init_verb(),
                    guest_dracut_verb(),
                    guest_fstab_verb(),
                    guest_kubevirt_verb(),
                    guest_systemd_verb(),
                    mapping_add_verb(),
                    mapping_doctor_verb(),
                    mapping_export_verb(),
                    mapping_import_verb(),
                    mapping_list_verb(),
                    mapping_remove_verb(),
                    mapping_set_verb(),
                    mapping_show_verb(),
                    migrate_verb(),
                    node_facts_verb(),
                    node_list_verb(),
                    node_publish_verb(),
                    qemu_args_verb(),
                    restore_verb(),
                    save_verb(),
                    sync_verb(),
                    top_verb(),
                    watch_verb(),
                    xml_filesystem_verb(),
                    xml_memory_verb(),
                    xml_patch_verb(),
                },
            .groups = {
                {"attach", "Give a libvirt domain a share"},
                {"check", "Say what would fail if a VM with shares were moved"},
                {"completion", "Print the completion script of a shell"},
                {"daemon", "virtiofsd's command line; start, stop and ask daemons"},
                {"detach", "Take a share from a libvirt domain"},
                {"drain", "Say which VMs would block a node's maintenance, and where each could go"},
                {"guest", "What a guest needs to mount shares or to boot from one"},
                {"mapping", "Define directory mappings: one id, a path per node"},
                {"migrate", "Live-migrate a libvirt domain, each share to its path there"},
                {"node", "What nodes have, run and mount, and tell each other"},
                {"qemu", "QEMU's arguments"},
                {"restore", "Let a saved libvirt domain go on, each share with its path there"},
                {"save", "Save a running libvirt domain to a file, for any node of its mappings"},
                {"sync", "Carry mappings from one store to another"},
                {"top", "Watch running daemons at work"},
                {"watch", "Mend what migrations leave behind in libvirt's stored definitions"},
                {"xml", "libvirt domain XML"},
            }};
    // clang-format on
}

} // namespace vfskit::vfsctl

// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/verbs.h"

#include "vfsctl/cmd/complete_tree.h"
#include "vfsctl/cmd/complete_words.h"
#include "vfsctl/cmd/completion.h"
#include "vfsctl/cmd/daemon_command.h"
#include "vfsctl/cmd/mapping_add.h"
#include "vfsctl/cmd/mapping_doctor.h"
#include "vfsctl/cmd/mapping_export.h"
#include "vfsctl/cmd/mapping_import.h"
#include "vfsctl/cmd/mapping_list.h"
#include "vfsctl/cmd/mapping_remove.h"
#include "vfsctl/cmd/mapping_set.h"
#include "vfsctl/cmd/mapping_show.h"

namespace vfskit::vfsctl {

VerbTable all_verbs() {
    return {.verbs =
                {
                    complete_tree_verb(),
                    complete_words_verb(),
                    completion_verb(),
                    daemon_command_verb(),
                    mapping_add_verb(),
                    mapping_doctor_verb(),
                    mapping_export_verb(),
                    mapping_import_verb(),
                    mapping_list_verb(),
                    mapping_remove_verb(),
                    mapping_set_verb(),
                    mapping_show_verb(),
                },
            .groups = {
                {"completion", "Print the completion script of a shell"},
                {"daemon", "virtiofsd's command line"},
                {"mapping", "Define directory mappings: one id, a path per node"},
            }};
}

} // namespace vfskit::vfsctl

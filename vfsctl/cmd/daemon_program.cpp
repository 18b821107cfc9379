// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_program.h"

namespace vfskit::vfsctl {

void bind_daemon_program(std::string& binary,
                         std::optional<share::DaemonInfo>& dialect,
                         OptionSet& set) {
    set.text({.name = "--binary",
              .value = "PATH",
              .help = "The daemon. Default: /usr/libexec/virtiofsd",
              .completes = Completes::file},
             binary)
        .value({.name = "--dialect",
                .value = "WORD",
                .help = "Which virtiofsd it is, instead of asking the binary: c, rust-1.0, "
                        "rust-1.11, rust-1.14, bundled, or a version such as 1.13.2",
                .completes = Completes::words,
                .words = {"c", "rust-1.0", "rust-1.11", "rust-1.14", "bundled"}},
               dialect,
               share::parse_daemon);
}

} // namespace vfskit::vfsctl

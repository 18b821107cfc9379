package PVE::QemuMigrate;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PVE::QemuMigrate::Helpers ();
use PVE::QemuServer::Monitor qw(mon_cmd);

# The part of a live migration that matters here: what the capabilities died of is only a warning.
sub migrate {
    my ($vmid) = @_;

    eval { PVE::QemuMigrate::Helpers::set_migration_caps($vmid) };
    warn $@ if $@;

    return mon_cmd($vmid, 'migrate', uri => 'unix:/run/qemu-server/migrate');
}

1;

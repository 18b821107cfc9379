package PVE::Vfskit::Gate;

# SPDX-License-Identifier: Apache-2.0
#
# The target's gate: before QEMU is started for an incoming VM, this node must have what the VM's
# shared directories need. It stands behind the VM's own hookscript, in the same phase 'pre-start',
# and leaves the VM's 'hookscript' property to the administrator. A refusal here ends the migration
# before memory is copied, and the VM goes on at its source.

use strict;
use warnings;

use PVE::Vfskit::Client ();
use PVE::Vfskit::Contract ();
use PVE::Vfskit::Finding ();
use PVE::Vfskit::GuestConfig ();

my sub assert_target {
    my ($vmid) = @_;

    my $findings = PVE::Vfskit::Client::check_target_half($vmid);
    my @blockers = PVE::Vfskit::Finding::blockers($findings) or return;

    die "vfskit: this node cannot take VM $vmid: "
        . join('; ', map { PVE::Vfskit::Finding::sentence($_) } @blockers) . "\n";
}

sub wrap_guest_helpers {
    my ($package) = @_;

    return if !PVE::Vfskit::Contract::is_known($package, 'exec_hookscript');
    PVE::Vfskit::Contract::wrap(
        $package,
        'exec_hookscript',
        sub {
            my ($original) = @_;
            return sub {
                my ($conf, $vmid, $phase, $stop_on_error) = @_;

                my $result = $original->(@_);

                assert_target($vmid)
                    if $phase eq 'pre-start'
                    && $stop_on_error
                    && $ENV{PVE_MIGRATED_FROM}
                    && PVE::Vfskit::GuestConfig::virtiofs_keys($conf);

                return $result;
            };
        },
    );

    return;
}

1;

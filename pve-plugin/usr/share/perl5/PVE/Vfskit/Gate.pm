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
    my ($vmid, $source) = @_;

    my $findings = PVE::Vfskit::Client::check_target_half($vmid, $source);
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

                my $source = $ENV{PVE_MIGRATED_FROM};
                assert_target($vmid, $source)
                    if $phase eq 'pre-start'
                    && $stop_on_error
                    && $source
                    && PVE::Vfskit::GuestConfig::virtiofs_keys($conf);

                return $result;
            };
        },
    );

    return;
}

1;

package PVE::AbstractConfig;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

our $CONFIGS = {}; # VMID => configuration; the test fills it

sub load_config {
    my ($class, $vmid, $node) = @_;

    my $conf = $CONFIGS->{$vmid} // die "Configuration file '$vmid.conf' does not exist\n";

    return { $conf->%* };
}

1;

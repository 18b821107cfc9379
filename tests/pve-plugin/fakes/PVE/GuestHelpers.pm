package PVE::GuestHelpers;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

our @CALLS; # [hookscript, vmid, phase] of each one that was run

sub exec_hookscript {
    my ($conf, $vmid, $phase, $stop_on_error) = @_;

    return if !$conf->{hookscript};
    push @CALLS, [$conf->{hookscript}, $vmid, $phase];
    if ($conf->{hookscript} eq 'local:snippets/fails') {
        my $message = "hookscript error for $vmid on $phase\n";
        die $message if $stop_on_error;
        warn $message;
    }

    return;
}

1;

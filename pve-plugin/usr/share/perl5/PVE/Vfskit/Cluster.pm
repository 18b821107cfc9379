package PVE::Vfskit::Cluster;

# SPDX-License-Identifier: Apache-2.0
#
# What the nodes have published about themselves.

use strict;
use warnings;

use PVE::Cluster ();

use PVE::Vfskit::Client ();

my sub what_is_missing {
    my ($facts) = @_;

    return "no facts published" if !defined($facts);
    my $pve = $facts->{pve} // {};
    return "not installed" if !defined($pve->{'plugin-version'});
    return "no launcher in place of virtiofsd" if !$pve->{'has-launcher'};
    return "no return-path for migrations" if !$pve->{'has-return-path'};

    return undef;
}

# Nodes of the cluster that would not obey a live-migration-method, [{node, reason}], sorted.
sub nodes_without_plugin {
    my $facts = PVE::Vfskit::Client::published_facts();

    my $nodes = PVE::Cluster::get_nodelist();

    my @lacking;
    for my $node (sort $nodes->@*) {
        my $reason = what_is_missing($facts->{$node}) // next;
        push @lacking, { node => $node, reason => $reason };
    }

    return \@lacking;
}

1;

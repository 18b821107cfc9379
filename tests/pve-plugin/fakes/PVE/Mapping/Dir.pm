package PVE::Mapping::Dir;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PVE::Cluster qw(cfs_lock_file cfs_read_file cfs_register_file cfs_write_file);

use parent 'PVE::SectionConfig';

my $file = 'mapping/directory.cfg';

cfs_register_file(
    $file,
    sub { return __PACKAGE__->parse_config(@_) },
    sub { return __PACKAGE__->write_config(@_) },
);

my $data = {
    propertyList => {
        id => { type => 'string' },
        description => { type => 'string', optional => 1 },
        map => { type => 'array', optional => 1 },
    },
};

sub private {
    return $data;
}

sub type {
    return 'dir';
}

sub options {
    return { description => { optional => 1 }, map => {} };
}

sub config {
    return cfs_read_file($file);
}

sub lock_dir_config {
    my ($code, $errmsg) = @_;

    cfs_lock_file($file, undef, $code);
    if (my $err = $@) {
        die $errmsg ? "$errmsg: $err" : $err;
    }

    return;
}

sub write_dir_config {
    my ($cfg) = @_;

    return cfs_write_file($file, $cfg);
}

# undef for a mapping that does not exist, [] for one without an entry for the node.
sub get_node_mapping {
    my ($cfg, $id, $node) = @_;

    my $section = $cfg->{ids}->{$id} // return undef;

    return [grep {m/(?:\A|,)node=\Q$node\E(?:,|\z)/} $section->{map}->@*];
}

PVE::Mapping::Dir->register();
PVE::Mapping::Dir->init();

1;

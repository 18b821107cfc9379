package PVE::Vfskit::GuestConfig;

# SPDX-License-Identifier: Apache-2.0
#
# Which guest a configuration belongs to: Proxmox VE hands configurations around without their VMID.

use strict;
use warnings;

use Hash::Util::FieldHash qw(fieldhash);

use PVE::Vfskit::Contract ();

fieldhash my %vmid_of; # forgets a configuration with its last reference

sub wrap_abstract_config {
    my ($package) = @_;

    return if !PVE::Vfskit::Contract::is_known($package, 'load_config');
    PVE::Vfskit::Contract::wrap(
        $package,
        'load_config',
        sub {
            my ($original) = @_;
            return sub {
                my (undef, $vmid) = @_;

                my $conf = $original->(@_);
                $vmid_of{$conf} = $vmid if ref($conf);
                return $conf;
            };
        },
    );

    return;
}

# The VMID that the configuration was loaded for; undef if it was made in another way.
sub vmid {
    my ($conf) = @_;

    my $vmid = $vmid_of{$conf} // return undef;

    return $vmid =~ m/\A([1-9]\d{2,8})\z/ ? $1 : undef;
}

# The keys of the shared directories, sorted: 'virtiofs0' to 'virtiofs9'.
sub virtiofs_keys {
    my ($conf) = @_;

    my @keys = sort grep { m/\Avirtiofs\d\z/ && defined($conf->{$_}) } keys $conf->%*;

    return @keys; # not sort() itself, which means nothing to a caller that wants a number
}

1;

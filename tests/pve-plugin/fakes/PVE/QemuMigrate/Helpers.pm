package PVE::QemuMigrate::Helpers;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PVE::Cluster ();
use PVE::Mapping::Dir ();
use PVE::QemuServer::Monitor qw(mon_cmd);
use PVE::QemuServer::Virtiofs ();

sub check_non_migratable_resources {
    my ($conf, $state, $noerr) = @_;

    my @blockers = $state && (grep {m/\Avirtiofs/} keys $conf->%*) ? ('virtiofs') : ();
    die "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: @blockers\n"
        if @blockers && !$noerr;

    return @blockers;
}

# Dereferences what get_node_mapping() returns, whatever it is.
sub check_local_resources {
    my ($conf, $state, $noerr) = @_;

    my @local = check_non_migratable_resources($conf, $state, $noerr);
    push @local, 'ivshmem' if $conf->{ivshmem};
    my $nodes = PVE::Cluster::get_nodelist();
    my $missing = { map { $_ => [] } $nodes->@* };
    my $mapped = {};
    for my $key (sort grep {m/\Avirtiofs/} keys $conf->%*) {
        my ($id) = $conf->{$key} =~ m/\A([^,]+)/;
        for my $node ($nodes->@*) {
            my $entries =
                PVE::Mapping::Dir::get_node_mapping(PVE::Mapping::Dir::config(), $id, $node);
            push $missing->{$node}->@*, $key if !scalar($entries->@*);
        }
        $mapped->{$key} = { name => $id };
        push @local, $key;
    }
    die "VM uses local resources\n" if @local && !$noerr;

    return wantarray ? (\@local, $mapped, $missing) : \@local;
}

# Switches everything else off.
sub set_migration_caps {
    my ($vmid, $savevm) = @_;

    my $capabilities = mon_cmd($vmid, 'query-migrate-capabilities');
    my @off = map { { capability => $_->{capability}, state => 0 } } $capabilities->@*;

    return mon_cmd($vmid, 'migrate-set-capabilities', capabilities => \@off);
}

1;

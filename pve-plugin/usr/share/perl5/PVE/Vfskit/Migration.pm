package PVE::Vfskit::Migration;

# SPDX-License-Identifier: Apache-2.0
#
# Lifts Proxmox VE's block on live migration for shared directories whose mapping has a method and
# for which 'vfsctl check' finds nothing in the way; and makes sure that a target that cannot load
# the state leaves the VM running where it is. RAM snapshots and hibernation stay blocked
# (check_non_migratable_resources): the directory would not be rolled back with the memory.

use strict;
use warnings;

use JSON::PP ();

use PVE::Vfskit::Client ();
use PVE::Vfskit::Contract ();
use PVE::Vfskit::Finding ();
use PVE::Vfskit::GuestConfig ();
use PVE::Vfskit::MappingDir ();

my $has_monitor_guard = 0;

my sub query_capabilities {
    my ($vmid) = @_;

    my $capabilities = PVE::QemuServer::Monitor::mon_cmd($vmid, 'query-migrate-capabilities');

    return { map { $_->{capability} => $_->{state} } $capabilities->@* };
}

# Asks QEMU, which knows on both ends of a migration.
my sub runs_with_virtiofs {
    my ($vmid) = @_;

    my $chardevs = PVE::QemuServer::Monitor::mon_cmd($vmid, 'query-chardev');

    return scalar(grep { $_->{label} =~ m/\Avirtiofs\d\z/ } $chardevs->@*);
}

# QEMU is asked in Proxmox VE's own way, and what it is told to do in a migration is known.
my sub knows_capabilities {
    my ($package) = @_;

    return PVE::Vfskit::Contract::is_known($package, 'set_migration_caps')
        && PVE::Vfskit::Contract::is_known('PVE::QemuServer::Monitor', 'mon_cmd');
}

# Everything that a live migration relies on is in place and as it was tested.
my sub is_ready {
    my ($package) = @_;

    my $is_known = PVE::Vfskit::Contract::is_known(
        $package,
        qw(check_local_resources check_non_migratable_resources),
        )
        && knows_capabilities($package)
        && PVE::Vfskit::Contract::is_known('PVE::QemuServer::Virtiofs', 'start_virtiofsd');

    return $is_known && PVE::Vfskit::MappingDir::is_installed() && $has_monitor_guard;
}

# Proxmox VE dereferences what get_node_mapping() returns, and that is undef for a mapping that was
# deleted: with no entry instead, it is missing on every node, which is a sentence and no crash.
my sub call_with_deleted_mappings {
    my ($code) = @_;

    my $find = \&PVE::Mapping::Dir::get_node_mapping;
    no warnings 'redefine'; # for the length of this call
    local *PVE::Mapping::Dir::get_node_mapping = sub { return $find->(@_) // [] };

    return $code->();
}

my sub without {
    my ($list, @words) = @_;

    my $drop = { map { $_ => 1 } @words };

    return [grep { !$drop->{$_} } $list->@*];
}

my sub keys_with_method {
    my ($conf, $mapped, $ids) = @_;

    return grep { $ids->{ $mapped->{$_}->{name} }->{'live-migration-method'} }
        grep { $mapped->{$_} && $ids->{ $mapped->{$_}->{name} } }
        PVE::Vfskit::GuestConfig::virtiofs_keys($conf);
}

# Tells why the VM stays, in the log of the task or the journal, and returns it.
my sub report {
    my ($vmid, $where, @sentences) = @_;

    warn "vfskit: VM $vmid cannot be live-migrated$where: $_\n" for @sentences;

    return @sentences;
}

my sub sentences_of_blockers {
    my ($findings) = @_;

    return map { PVE::Vfskit::Finding::sentence($_) } PVE::Vfskit::Finding::blockers($findings);
}

# Why the shares of a mapping without a method stay.
my sub reasons_without_method {
    my ($mapped, $ids, @keys) = @_;

    my @reasons;
    for my $key (grep { $mapped->{$_} } @keys) {
        my $id = $mapped->{$key}->{name};
        my $what = $ids->{$id} ? 'has no live-migration-method' : 'does not exist';
        push @reasons, "$key: mapping '$id' $what";
    }

    return @reasons;
}

# The keys that may travel, and the sentences that keep the others, or these from going to a node.
# Dies if that cannot be found out.
my sub judge {
    my ($conf, $mapped) = @_;

    my $vmid = PVE::Vfskit::GuestConfig::vmid($conf)
        // die "it is not known which VM the configuration belongs to\n";
    my $ids = PVE::Mapping::Dir::config()->{ids};
    my @keys = keys_with_method($conf, $mapped, $ids);
    my $others = without([PVE::Vfskit::GuestConfig::virtiofs_keys($conf)], @keys);
    my @reasons = report($vmid, '', reasons_without_method($mapped, $ids, $others->@*));
    return { keys => [], reasons => \@reasons, by_node => {} } if !@keys;

    my $answer = PVE::Vfskit::Client::check($vmid);
    my @common = report($vmid, '', sentences_of_blockers($answer->{findings}));
    return { keys => [], reasons => [@common, @reasons], by_node => {} } if @common;

    my $by_node = {};
    for my $target ($answer->{targets}->@*) {
        my $node = $target->{node};
        my @sentences = sentences_of_blockers($target->{findings});
        $by_node->{$node} = [report($vmid, " to '$node'", @sentences)] if @sentences;
    }

    return { keys => \@keys, reasons => \@reasons, by_node => $by_node };
}

# What Proxmox VE shows where something blocks is a list of words, in the API, in the error of a
# migration and in its web interface, which takes the text for HTML.
my sub with_reasons {
    my ($word, @reasons) = @_;

    return $word if !@reasons;
    my $text = join('; ', @reasons) =~ s/\s+/ /gr =~ tr/<>&/???/r;

    return "$word ($text)";
}

# ($local, $mapped, $missing_by_node) of a running VM, with the blocks lifted that need not be, and
# the others with their reasons.
my sub lift_blocks {
    my ($conf, $local, $mapped, $missing) = @_;

    my $verdict = eval { judge($conf, $mapped) };
    if (my $err = $@) {
        warn "vfskit: live migration with shared directories stays blocked: $err";
        $verdict = { keys => [], reasons => [$err =~ s/\s+\z//r], by_node => {} };
    }
    my @keys = $verdict->{keys}->@*;

    $mapped->{$_}->{'live-migration'} = 1 for @keys;
    for my $node (grep { $verdict->{by_node}->{$_} } keys $missing->%*) {
        my @reasons = $verdict->{by_node}->{$node}->@*;
        my ($last, @first) = reverse @keys;
        $missing->{$node} = [
            without($missing->{$node}, @keys)->@*,
            reverse(@first), with_reasons($last, @reasons),
        ];
    }

    my @all = PVE::Vfskit::GuestConfig::virtiofs_keys($conf);
    return without($local, @keys, 'virtiofs') if scalar(@all) == scalar(@keys);

    return [map { $_ eq 'virtiofs' ? with_reasons($_, $verdict->{reasons}->@*) : $_ }
            without($local, @keys)->@*];
}

my sub make_check_local_resources {
    my ($package) = @_;

    return sub {
        my ($original) = @_;

        return sub {
            my ($conf, $running, $noerr) = @_;

            my @keys = PVE::Vfskit::GuestConfig::virtiofs_keys($conf);
            return $original->(@_) if !@keys || !is_ready($package);
            my @args = @_;

            # Whoever wants an exception gets the original's own.
            return call_with_deleted_mappings(sub { return $original->(@args) }) if !$noerr;

            my ($local, $mapped, $missing) =
                call_with_deleted_mappings(sub { return $original->(@args) });
            $local =
                $running
                ? lift_blocks($conf, $local, $mapped, $missing)
                : without($local, @keys); # as Proxmox VE does for mapped PCI devices

            return wantarray ? ($local, $mapped, $missing) : $local;
        };
    };
}

my sub make_set_migration_caps {
    my ($package) = @_;

    return sub {
        my ($original) = @_;

        return sub {
            my ($vmid, $savevm) = @_;

            my $result = $original->(@_);
            return $result if $savevm || !knows_capabilities($package);
            return $result if !runs_with_virtiofs($vmid);

            PVE::QemuServer::Monitor::mon_cmd(
                $vmid,
                'migrate-set-capabilities',
                capabilities => [{ capability => 'return-path', state => JSON::PP::true() }],
            );

            return $result;
        };
    };
}

# The last moment before memory is copied. Without return-path QEMU's source does not hear of a
# target that cannot load, and the VM would be lost on both.
my sub make_guarded_monitor {
    my ($original) = @_;

    return sub {
        my ($vmid, $command) = @_;

        die "VM $vmid has shared directories, and return-path could not be switched on\n"
            if $command eq 'migrate'
            && runs_with_virtiofs($vmid)
            && !query_capabilities($vmid)->{'return-path'};

        return $original->(@_);
    };
}

# PVE 9 has the checks in PVE::QemuMigrate::Helpers, PVE 8 in PVE::QemuServer.
sub wrap_helpers {
    my ($package) = @_;

    return if !defined(&{"${package}::check_local_resources"});

    PVE::Vfskit::Contract::wrap(
        $package,
        'check_local_resources',
        make_check_local_resources($package),
    );
    PVE::Vfskit::Contract::wrap(
        $package,
        'set_migration_caps',
        make_set_migration_caps($package),
    );

    return;
}

sub wrap_qemu_migrate {
    my ($package) = @_;

    my $monitor = 'PVE::QemuServer::Monitor';
    return if !PVE::Vfskit::Contract::is_known($monitor, 'mon_cmd');
    die "'$package' has a 'mon_cmd' of its own\n"
        if \&{"${package}::mon_cmd"} != \&{"${monitor}::mon_cmd"};
    PVE::Vfskit::Contract::assert_begins_migration($package);
    PVE::Vfskit::Contract::wrap($package, 'mon_cmd', \&make_guarded_monitor);
    $has_monitor_guard = 1;

    return;
}

1;

package PVE::Vfskit::MappingDir;

# SPDX-License-Identifier: Apache-2.0
#
# PVE::Mapping::Dir learns 'live-migration-method' and 'path-relation'. They stand in directory.cfg
# like every property, and in vfskit.cfg beside it, where a node without the plugin cannot lose them:
# readers here get what both files say, writers here record in both.

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);

use PVE::Vfskit::Client ();
use PVE::Vfskit::Cluster ();
use PVE::Vfskit::Contract ();

our $TRUTH_FILE = '/etc/pve/mapping/vfskit.cfg';

my $properties = {
    'live-migration-method' => {
        type => 'string',
        description => "How the directory is migrated with a running VM: by the paths of open"
            . " files or by their file handles. Without it, VMs that use the directory cannot be"
            . " live-migrated.",
        enum => ['find-paths', 'file-handles'],
        optional => 1,
    },
    'path-relation' => {
        type => 'string',
        description => "What the nodes' paths are to each other: one directory of a shared file"
            . " system, or copies. Without it, they are taken for copies.",
        enum => ['same-directory', 'replicas'],
        optional => 1,
    },
};

my $is_installed = 0;
my $completed = { key => '', mappings => {} };
my $changed = []; # [id, section] that were written under the lock and are to be recorded after it

# True if the properties are known to this process.
sub is_installed {
    return $is_installed;
}

my sub read_truth {
    open(my $handle, '<', $TRUTH_FILE) or return '';
    my $content = do { local $/ = undef; <$handle> };
    close($handle) or return '';

    return $content // '';
}

# What both files say, by id; asked again only when one of them has changed.
my sub known_mappings {
    my ($digest) = @_;

    my $truth = read_truth();
    return {} if $truth eq '';

    my $key = join('-', $digest // '', sha1_hex($truth));
    if ($completed->{key} ne $key) {
        my $mappings = PVE::Vfskit::Client::mappings();
        $completed = { key => $key, mappings => $mappings };
    }

    return $completed->{mappings};
}

# Puts what a stock node has dropped from directory.cfg back into the configuration that was read.
my sub complete {
    my ($cfg) = @_;

    my $mappings = eval { known_mappings($cfg->{digest}) };
    if (my $err = $@) {
        PVE::Vfskit::Contract::warn_once('complete', "'$TRUTH_FILE' was not considered: $err");
        return;
    }

    for my $id (keys $mappings->%*) {
        my $section = $cfg->{ids}->{$id} or next;
        for my $property (keys $properties->%*) {
            my $value = $mappings->{$id}->{$property} // next;
            next if !grep { $_ eq $value } $properties->{$property}->{enum}->@*;
            $section->{$property} = $value;
        }
    }

    return;
}

my sub differs {
    my ($old, $new, $property) = @_;

    return ($old->{$property} // '') ne ($new->{$property} // '');
}

# Dies if a method is set anew while a node could not obey it, or would drop it.
my sub assert_cluster_knows {
    my ($id, $method) = @_;

    my $lacking = PVE::Vfskit::Cluster::nodes_without_plugin();
    return if !scalar($lacking->@*);

    my $nodes = join(', ', map {"$_->{node} ($_->{reason})"} $lacking->@*);
    die "cannot set live-migration-method '$method' on '$id': vfskit-pve is missing on $nodes."
        . " Install it on every node, and publish the facts with 'vfsctl node publish'\n";
}

# A mapping that is made gets nothing from one of the same name and paths that was removed.
my sub is_made_again {
    my ($id, $old) = @_;

    return !$old->{ids}->{$id} && read_truth() =~ m/^\Q$id\E\s*$/m;
}

# The record knows a mapping by its paths: after a change of them it would not know it any more.
my sub has_other_paths {
    my ($before, $after) = @_;

    return 0 if !grep { defined($after->{$_}) } keys $properties->%*;

    return
        join("\n", sort(($before->{map} // [])->@*)) ne join("\n", sort(($after->{map} // [])->@*));
}

my sub note_changes {
    my ($old, $new) = @_;

    my @notes;
    for my $id (sort keys $new->{ids}->%*) {
        my $before = $old->{ids}->{$id} // {};
        my $after = $new->{ids}->{$id} // {};
        next
            if !is_made_again($id, $old)
            && !has_other_paths($before, $after)
            && !grep { differs($before, $after, $_) } keys $properties->%*;

        my $method = $after->{'live-migration-method'};
        assert_cluster_knows($id, $method)
            if defined($method) && differs($before, $after, 'live-migration-method');
        push @notes, [$id, { $after->%{ keys $properties->%* } }];
    }

    return @notes;
}

# A removal that is not recorded would come back from the record; a value that is not recorded is
# only less safe.
my sub record {
    my ($id, $section) = @_;

    eval { PVE::Vfskit::Client::record_mapping($id, $section) };
    my $err = $@ or return;

    my $message = "'$id' was changed in directory.cfg, but not recorded in vfskit.cfg: $err";
    die $message if grep { !defined($section->{$_}) } keys $properties->%*;
    PVE::Vfskit::Contract::warn_once("record $id", $message);

    return;
}

my sub make_options {
    my ($original) = @_;

    return sub {
        my $options = $original->(@_);
        $options->{$_} = { optional => 1 } for keys $properties->%*;
        return $options;
    };
}

my sub make_config {
    my ($original) = @_;

    return sub {
        my $cfg = $original->(@_);
        complete($cfg) if ref($cfg) eq 'HASH';
        return $cfg;
    };
}

my sub make_write_dir_config {
    my ($original) = @_;

    return sub {
        my ($cfg) = @_;

        my @notes = note_changes(PVE::Mapping::Dir::config(), $cfg);
        my $result = $original->(@_);
        push $changed->@*, @notes;
        return $result;
    };
}

my sub make_lock_dir_config {
    my ($original) = @_;

    return sub {
        my (@args) = @_;

        $changed = [];
        my $result = $original->(@args);
        my @notes = $changed->@*;
        $changed = [];
        record($_->@*) for @notes;
        return $result;
    };
}

sub wrap_mapping_dir {
    my ($package) = @_;

    die "Proxmox VE knows live-migration-method by itself; remove vfskit-pve or update it\n"
        if $package->private()->{propertyList}->{'live-migration-method'};
    my @subs = qw(config get_node_mapping lock_dir_config options write_dir_config);
    return if !PVE::Vfskit::Contract::is_known($package, @subs);
    return if !PVE::Vfskit::Contract::is_known('PVE::SectionConfig', 'init');

    # Section configs are initialised once at load: again, with two properties more. Newer ones
    # begin from a copy of the first time's list.
    my $data = $package->private();
    for my $list (grep {defined} $data->@{qw(propertyList base-property-list)}) {
        $list->{$_} = { $properties->{$_}->%* } for keys $properties->%*;
    }
    PVE::Vfskit::Contract::wrap($package, 'options', \&make_options);
    $package->init();

    PVE::Vfskit::Contract::wrap($package, 'config', \&make_config);
    PVE::Vfskit::Contract::wrap($package, 'write_dir_config', \&make_write_dir_config);
    PVE::Vfskit::Contract::wrap($package, 'lock_dir_config', \&make_lock_dir_config);
    $is_installed = 1;

    return;
}

1;

package PVE::Vfskit::Client;

# SPDX-License-Identifier: Apache-2.0
#
# Asks 'vfsctl --json', which knows all rules. Every sub dies with vfsctl's own sentence.

use strict;
use warnings;

use JSON::PP ();

use PVE::Tools ();

our $VFSCTL = '/usr/bin/vfsctl';
our $STORE = 'pve:/etc/pve';

my $TIMEOUT = 30; # seconds; the migration of a VM waits for it

# What ends with these statuses has printed its document (docs/exit-status.md).
my $judged = { 0 => 1, 6 => 1, 7 => 1 };

# A word that may be handed to a program although it came from outside: perl -T wants to see it
# matched. Refuses what no id, node name, method or number has.
my sub checked_word {
    my ($word) = @_;

    return $1 if $word =~ m{\A([\w.:/=+-]+)\z};
    die "'$word' is no word for vfsctl\n";
}

my sub error_sentence {
    my ($text) = @_;

    my $document = eval { JSON::PP->new->decode($text) };
    return $text if ref($document) ne 'HASH' || !defined($document->{message});

    return join('. ', grep { defined && length } $document->@{qw(message remedy)});
}

# Runs vfsctl with the words and returns its document.
sub ask {
    my (@words) = @_;

    my $command = [$VFSCTL, map { checked_word($_) } @words, '--store', $STORE, '--json'];
    my ($out, $err) = ('', '');
    my $status = eval {
        local $ENV{PATH} = '/usr/sbin:/usr/bin:/sbin:/bin';
        delete local @ENV{qw(IFS CDPATH ENV BASH_ENV)};
        PVE::Tools::run_command(
            $command,
            outfunc => sub { $out .= "$_[0]\n" },
            errfunc => sub { $err .= "$_[0]\n" },
            timeout => $TIMEOUT,
            noerr => 1,
        );
    };
    die "cannot run vfsctl - $@" if !defined($status);
    if (!$judged->{$status}) {
        my $sentence = error_sentence($err) =~ s/\s+\z//r;
        die "vfsctl $words[0]: " . ($sentence || "exit status $status") . "\n";
    }

    my $document = eval { JSON::PP->new->utf8->decode($out) };
    die "vfsctl $words[0] printed no JSON document\n" if ref($document) ne 'HASH';

    return $document;
}

# {id => mapping} with what stands in both of the cluster's files.
sub mappings {
    my $document = ask('mapping', 'list');

    return { map { $_->{id} => $_ } $document->{mappings}->@* };
}

# Records what Proxmox VE has written about the mapping where a stock node cannot lose it.
sub record_mapping {
    my ($id, $section) = @_;

    ask(
        'mapping', 'set', $id,
        '--rules', 'pve',
        '--method', $section->{'live-migration-method'} // 'none',
        '--relation', $section->{'path-relation'} // 'none',
    );

    return;
}

# {node => facts} of the nodes that have published them (schemas/node-facts.schema.json).
sub published_facts {
    my $document = ask('node', 'list');

    return { map { $_->{node} => $_->{facts} } grep { $_->{facts} } $document->{nodes}->@* };
}

# What stands in the way of live-migrating the VM from this node, and to which other nodes
# (schemas/check.schema.json). That it runs is said: vfsctl, left alone, checks a VM that it does not
# find among the processes as one that is stopped.
sub check {
    my ($vmid) = @_;

    my $document = ask('check', $vmid, '--to', 'all', '--operation', 'live');

    return $document->{vms}->[0] // die "vfsctl check says nothing about VM $vmid\n";
}

# What this node lacks to take the VM: findings.
sub check_target_half {
    my ($vmid) = @_;

    my $vm = ask('check', $vmid, '--target-half')->{vms}->[0];
    die "vfsctl check says nothing about VM $vmid\n" if !$vm || !$vm->{targets}->[0];

    return $vm->{targets}->[0]->{findings};
}

1;

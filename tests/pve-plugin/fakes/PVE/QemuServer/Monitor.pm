package PVE::QemuServer::Monitor;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(mon_cmd);

our $CHARDEVS = []; # labels
our $CAPABILITIES = {}; # name => 0 or 1
our $REFUSES_CAPABILITIES = 0;
our @CALLS; # [vmid, command]

my $answers = {
    'query-chardev' => sub {
        return [map { { label => $_ } } $CHARDEVS->@*];
    },
    'query-migrate-capabilities' => sub {
        return [
            map { { capability => $_, state => $CAPABILITIES->{$_} } }
            sort keys $CAPABILITIES->%*
        ];
    },
    'migrate-set-capabilities' => sub {
        my (%arguments) = @_;
        die "QEMU refuses\n" if $REFUSES_CAPABILITIES;
        for my $wish ($arguments{capabilities}->@*) {
            $CAPABILITIES->{ $wish->{capability} } = $wish->{state} ? 1 : 0;
        }
        return {};
    },
    'migrate' => sub { return {} },
};

sub mon_cmd {
    my ($vmid, $command, %arguments) = @_;

    push @CALLS, [$vmid, $command];
    my $answer = $answers->{$command} // die "unknown command '$command'\n";

    return $answer->(%arguments);
}

1;

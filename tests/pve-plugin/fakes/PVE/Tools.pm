package PVE::Tools;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use IPC::Open3 qw(open3);
use Symbol qw(gensym);

# Runs a program; its lines go to outfunc and errfunc. Returns the exit status with noerr, else dies
# of one that is not 0.
sub run_command {
    my ($command, %options) = @_;

    my $errors = gensym();
    my $pid = open3(my $stdin, my $stdout, $errors, $command->@*);
    close($stdin) or die "close: $!\n";
    my @streams = ([$stdout, $options{outfunc}], [$errors, $options{errfunc}]);
    for my $stream (@streams) {
        my ($handle, $code) = $stream->@*;
        while (defined(my $line = readline($handle))) {
            chomp $line;
            $code->($line) if $code;
        }
    }
    waitpid($pid, 0);
    my $status = $? >> 8;
    die "command '$command->[0]' failed: exit code $status\n" if $status && !$options{noerr};

    return $status;
}

1;

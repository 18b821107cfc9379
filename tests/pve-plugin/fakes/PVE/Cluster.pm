package PVE::Cluster;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);
use Exporter qw(import);

our @EXPORT_OK = qw(cfs_lock_file cfs_read_file cfs_register_file cfs_write_file);

our $ROOT; # stands for /etc/pve; the test names it
our @NODES = qw(n1 n2);

my $files = {};

sub cfs_register_file {
    my ($name, $parser, $writer) = @_;

    $files->{$name} = { parser => $parser, writer => $writer };

    return;
}

sub cfs_read_file {
    my ($name) = @_;

    my $content = '';
    if (open(my $handle, '<', "$ROOT/$name")) {
        $content = do { local $/ = undef; <$handle> }
            // '';
        close($handle) or die "close: $!\n";
    }

    return $files->{$name}->{parser}->($name, $content);
}

sub cfs_write_file {
    my ($name, $data) = @_;

    my $content = $files->{$name}->{writer}->($name, $data);
    open(my $handle, '>', "$ROOT/$name") or die "open: $!\n";
    print {$handle} $content;
    close($handle) or die "close: $!\n";

    return;
}

# Leaves what the code died of in $@, as the real one does.
sub cfs_lock_file {
    my ($name, undef, $code, @arguments) = @_;

    my $lock = "$ROOT/priv/lock/file-" . ($name =~ s/[.\/]/_/gr);
    mkdir($lock) or die "cfs-lock error: got lock request timeout\n";
    my $result = eval { $code->(@arguments) };
    my $err = $@;
    rmdir($lock) or die "rmdir: $!\n";
    $@ = $err; ## no critic (RequireLocalizedPunctuationVars): that is the contract

    return $result;
}

sub get_nodelist {
    return [@NODES];
}

1;

package PluginTest;

# SPDX-License-Identifier: Apache-2.0
#
# A cluster in a temporary directory, fakes of Proxmox VE's modules, and a vfsctl that answers as the
# test wants. To be loaded first.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use JSON::PP ();

use PVE::Cluster ();
use PVE::Vfskit ();
use PVE::Vfskit::Client ();
use PVE::Vfskit::Contract ();
use PVE::Vfskit::MappingDir ();

my ($here) = dirname(__FILE__) =~ m/(.*)/;
my $fakes = "$here/../fakes";

# perl -T: the test's own places.
my sub trusted {
    my ($text) = @_;

    return $text =~ m/\A(.+)\z/s ? $1 : die "empty\n";
}

my $dir = trusted(File::Temp::tempdir());

END {
    File::Path::remove_tree($dir);
}

sub slurp {
    my ($path) = @_;

    open(my $handle, '<', $path) or return '';
    my $content = do { local $/ = undef; <$handle> };
    close($handle) or die "close: $!\n";

    return $content // '';
}

sub spew {
    my ($path, $content) = @_;

    open(my $handle, '>', $path) or die "$path: $!\n";
    print {$handle} $content;
    close($handle) or die "close: $!\n";

    return;
}

sub root {
    return "$dir/pve";
}

# A file of the plugin that is no module.
sub plugin_file {
    my ($name) = @_;

    return "$here/../../../pve-plugin/usr/share/vfskit/pve-plugin/$name";
}

# The words of every call of vfsctl so far, a line each.
sub calls {
    return slurp("$dir/log");
}

# What vfsctl prints for 'check', 'target-half' or 'node'.
sub answer {
    my ($name, $document, $status) = @_;

    spew("$dir/$name.json", JSON::PP->new->encode($document));
    spew("$dir/$name.status", $status // 0);

    return;
}

# vfsctl fails there with this sentence.
sub fail {
    my ($name, $message) = @_;

    spew("$dir/$name.json", '');
    spew("$dir/$name.err", JSON::PP->new->encode({ kind => 'error', message => $message }));
    spew("$dir/$name.status", 1);

    return;
}

sub node_facts {
    my (%pve) = @_;

    return {
        pve => {
            'plugin-version' => '0.1.0', 'has-launcher' => JSON::PP::true(),
            'has-return-path' => JSON::PP::true(), %pve
        }
    };
}

sub blocker {
    my ($sentence) = @_;

    return {
        code => 'VFS-C001', severity => 'blocker', subject => "share 'media'",
        message => $sentence, remedy => 'Mend it'
    };
}

# Collects what is warned about while the code runs.
sub warnings_of {
    my ($code) = @_;

    my $warned = '';
    local $SIG{__WARN__} = sub { $warned .= $_[0] };
    $code->();

    return $warned;
}

# The fakes' subs count as tested, but for those that are named.
sub trust_fakes {
    my (@not) = @_;

    my %known;
    for my $name (PVE::Vfskit::Contract::known_subs()) {
        next if grep { $_ eq $name } @not;
        my ($package, $sub) = $name =~ m/\A(.*)::(\w+)\z/;
        my $file = "$fakes/$package.pm" =~ s{::}{/}gr;
        my $fingerprint = PVE::Vfskit::Contract::fingerprint(slurp($file), $sub) // next;
        $known{$name} = $fingerprint;
    }
    PVE::Vfskit::Contract::forget_verdicts(%known);

    return;
}

make_path("$dir/pve/mapping", "$dir/pve/priv/lock", "$dir/pve/nodes/n1/qemu-server");
symlink('nodes/n1', "$dir/pve/local") or die "symlink: $!\n";
my $script = slurp("$here/../fake-vfsctl");
my $vfsctl = trusted($ENV{VFSKIT_VFSCTL});
$script =~ s/\@DIR\@/$dir/;
$script =~ s/\@VFSCTL\@/$vfsctl/;
spew("$dir/vfsctl", $script);
chmod(0755, "$dir/vfsctl") or die "chmod: $!\n";

$PVE::Cluster::ROOT = "$dir/pve";
$PVE::Vfskit::Client::VFSCTL = "$dir/vfsctl";
$PVE::Vfskit::Client::STORE = "pve:$dir/pve";
$PVE::Vfskit::MappingDir::TRUTH_FILE = "$dir/pve/mapping/vfskit.cfg";
answer('node', { nodes => [map { { node => $_, facts => node_facts() } } qw(n1 n2)] });

1;

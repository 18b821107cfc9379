package PVE::Vfskit::Contract;

# SPDX-License-Identifier: Apache-2.0
#
# What vfskit relies on in Proxmox VE's code, and whether it is still so. A sub whose text is not
# one of those that were read and tested is in doubt: it is told once, and stays as it is.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);

# Package and sub => fingerprint => the versions that have it. A fingerprint is the beginning of the
# SHA-256 of the sub's text without comment lines and white space (see fingerprint()).
my $known = {
    'PVE::AbstractConfig::load_config' => {
        '5ba7bae29ef9bc43' => 'pve-guest-common 4.2 to 6.0.2',
    },
    'PVE::GuestHelpers::exec_hookscript' => {
        '26fef96552bb1851' => 'pve-guest-common 4.2 to 6.0.2',
    },
    'PVE::Mapping::Dir::config' => {
        '90e378ad6b62a7d6' => 'pve-guest-common 5.2.0 to 6.0.2',
    },
    'PVE::Mapping::Dir::get_node_mapping' => {
        '52d7af5e62dbebb0' => 'pve-guest-common 5.2.0 to 6.0.2',
    },
    'PVE::Mapping::Dir::lock_dir_config' => {
        '7ab103a413582e45' => 'pve-guest-common 5.2.0 to 6.0.2',
    },
    'PVE::Mapping::Dir::options' => {
        '15c07640d10e4117' => 'pve-guest-common 5.2.0 to 6.0.2',
    },
    'PVE::Mapping::Dir::write_dir_config' => {
        '98dd2f9913f03af2' => 'pve-guest-common 5.2.0 to 6.0.2',
    },
    'PVE::QemuMigrate::Helpers::check_local_resources' => {
        'ed7850b796595edc' => 'qemu-server 9.0.0 to 9.2.6',
    },
    'PVE::QemuMigrate::Helpers::check_non_migratable_resources' => {
        '33b52609a7388521' => 'qemu-server 9.0.0 to 9.0.23',
        '93ff1600e721f1ed' => 'qemu-server 9.0.24 to 9.2.6',
    },
    'PVE::QemuMigrate::Helpers::set_migration_caps' => {
        '07ef4a0a8e416c6c' => 'qemu-server 9.0.0 to 9.2.6',
    },
    'PVE::QemuServer::check_local_resources' => {
        'ed7850b796595edc' => 'qemu-server 8.3.12 to 8.4.10',
    },
    'PVE::QemuServer::check_non_migratable_resources' => {
        '33b52609a7388521' => 'qemu-server 8.3.12 to 8.4.10',
    },
    'PVE::QemuServer::set_migration_caps' => {
        '07ef4a0a8e416c6c' => 'qemu-server 8.3.12 to 8.4.10',
    },
    'PVE::QemuServer::Monitor::mon_cmd' => {
        'd2313282f4f618fd' => 'qemu-server 8.3.12 to 9.0.25',
        'fcdf87a15ed1429a' => 'qemu-server 9.0.26 to 9.2.6',
    },
    'PVE::QemuServer::Virtiofs::start_virtiofsd' => {
        '635d26ab7371cfc4' => 'qemu-server 8.3.12',
        '4b8483933a23795c' => 'qemu-server 8.3.13 to 9.2.6',
    },
    'PVE::SectionConfig::init' => {
        '71ec5f88b7c42ec4' => 'pve-common 8.2.8 to 9.1.20',
        '6ace35956837c275' => 'pve-common 9.1.21 to 9.2.1',
    },
    'PVE::Service::pveproxy::get_index' => {
        'e84bee068d141a0b' => 'pve-manager 8.4.0 to 8.4.1',
        '1cb7f40facb15000' => 'pve-manager 8.4.2 to 8.4.21',
        'c6fae0977c8fda3c' => 'pve-manager 9.0.0 to 9.2.6',
        'c4256d5f4891dbd2' => 'pve-manager 9.2.7 to 9.2.11',
    },
};

# Package => how it gives QEMU the command that begins a migration: once, and by a sub that can be
# wrapped in it. The sub around that changes with every other version of Proxmox VE.
my $begins_migration = {
    'PVE::QemuMigrate' => {
        any => qr/["']migrate["'],\s*\w+\s*=>/,
        known => qr/\bmon_cmd\(\s*\$vmid,\s*["']migrate["'],/,
    },
};

my $files = {}; # package => the file it was loaded from, where a stand-in is in %INC
my $verdicts = {}; # package and sub => 1 or 0
my $told = {}; # what was warned about already

# Tells once for each $what in the life of the process.
sub warn_once {
    my ($what, $message) = @_;

    return if $told->{$what}++;
    $message =~ s/\s+\z//;
    warn "vfskit: $message\n";

    return;
}

sub set_file {
    my ($package, $file) = @_;

    $files->{$package} = $file;

    return;
}

# The file that $package was loaded from; undef if it was not.
sub file_of {
    my ($package) = @_;

    my $name = "$package.pm" =~ s{::}{/}gr;

    return $files->{$package} // $INC{$name};
}

# The fingerprint of the top-level sub $sub in the text of a file; undef if it has none.
sub fingerprint {
    my ($text, $sub) = @_;

    my ($body) = $text =~ m/^(sub \Q$sub\E\b.*?^\})/ms or return undef;
    $body =~ s/^\s*#.*$//mg;
    $body =~ s/\s+//g;

    return substr(sha256_hex($body), 0, 16);
}

my sub read_text {
    my ($file) = @_;

    open(my $handle, '<', $file) or die "cannot read '$file' - $!\n";
    my $text = do { local $/ = undef; <$handle> };
    close($handle) or die "cannot read '$file' - $!\n";

    return $text;
}

# What is in doubt about $package::$sub in that file; undef if nothing is.
my sub judge_file {
    my ($package, $sub, $file) = @_;

    my $name = "${package}::$sub";
    my $text = eval { read_text($file) } // return $@ =~ s/\n\z//r;

    my $fingerprint = fingerprint($text, $sub) // return "'$file' does not define '$sub'";
    return undef if $known->{$name}->{$fingerprint};

    return "'$name' ($fingerprint) is none that this version of vfskit was tested with";
}

my sub judge {
    my ($package, $sub) = @_;

    my $name = "${package}::$sub";
    return "it has no '$name'" if !defined(&{$name});

    my $file = file_of($package) // return "'$package' is not loaded";

    return judge_file($package, $sub, $file);
}

# The file that Proxmox VE has $package in; undef if there is none. Our stand-ins are links.
my sub find_file {
    my ($package) = @_;

    my $name = "$package.pm" =~ s{::}{/}gr;
    my @files = grep { -f && !-l } map {"$_/$name"} grep { !ref } @INC;

    return $files[0];
}

# What is in doubt about how $package begins migrations, by its file; undef if nothing is.
my sub judge_begin {
    my ($package, $file) = @_;

    my $text = eval { read_text($file) } // return $@ =~ s/\n\z//r;
    my ($any, $known) = $begins_migration->{$package}->@{qw(any known)};
    my $commands = () = $text =~ m/$any/g;
    return undef if $commands == 1 && $text =~ $known;

    return "'$package' does not begin migrations as those that were tested";
}

# Dies if $package does not begin migrations in the one known way.
sub assert_begins_migration {
    my ($package) = @_;

    my $file = file_of($package) // die "'$package' is not loaded\n";
    my $doubt = judge_begin($package, $file) // return;
    die "$doubt\n";
}

# True if every given sub of $package is one that vfskit was tested with. Judged once in the life
# of the process.
sub is_known {
    my ($package, @subs) = @_;

    my $all = 1;
    for my $sub (@subs) {
        my $name = "${package}::$sub";
        if (!defined($verdicts->{$name})) {
            my $doubt = judge($package, $sub);
            $verdicts->{$name} = defined($doubt) ? 0 : 1;
            warn_once($name, "Proxmox VE's behaviour is left as it is: $doubt; update vfskit-pve")
                if defined($doubt);
        }
        $all &&= $verdicts->{$name};
    }

    return $all;
}

my sub doubt_about {
    my ($package, $judge) = @_;

    my $file = find_file($package) // return "there is no '$package'";

    return $judge->($file);
}

# Sentences: why the plugin would leave the migrations of this node as Proxmox VE has them. Reads the
# files and loads none of them; is_known() judges what is loaded.
sub doubts_about_migrations {

    # PVE 9 has the checks in the first, PVE 8 in the second.
    my @checks = qw(PVE::QemuMigrate::Helpers PVE::QemuServer);
    my $unused = defined(find_file($checks[0])) ? $checks[1] : $checks[0];

    my @doubts;
    for my $name (grep {m/\APVE::(?:Mapping|QemuMigrate|QemuServer|SectionConfig)::/} known_subs())
    {
        my ($package, $sub) = $name =~ m/\A(.*)::(\w+)\z/;
        next if $package eq $unused;
        push @doubts, doubt_about($package, sub { return judge_file($package, $sub, $_[0]) });
    }
    for my $package (sort keys $begins_migration->%*) {
        push @doubts, doubt_about($package, sub { return judge_begin($package, $_[0]) });
    }

    return grep {defined} @doubts;
}

# 'PVE::Mapping::Dir::options' and so on, sorted.
sub known_subs {
    my @names = sort keys $known->%*;

    return @names;
}

# For tests with other modules than Proxmox VE's, and for a module that was judged too early.
sub forget_verdicts {
    my (%more_known) = @_;

    $verdicts = {};
    $told = {};
    for my $name (keys %more_known) {
        $known->{$name}->{ $more_known{$name} } = 'given';
    }

    return;
}

# For tests: the sub becomes one that was never seen.
sub forget_known {
    my ($name) = @_;

    $known->{$name} = {};
    $verdicts = {};

    return;
}

# Puts $make->($original) in the place of $package::$sub. Callers that use the full name and callers
# in the package itself get it; those that imported it before do not. Dies if there is no such sub.
sub wrap {
    my ($package, $sub, $make) = @_;

    my $name = "${package}::$sub";
    die "there is no '$name'\n" if !defined(&{$name});
    my $original = \&{$name};
    my $wrapped = $make->($original);
    {
        no strict 'refs';
        no warnings 'redefine';
        *{$name} = $wrapped;
    }

    return $original;
}

1;

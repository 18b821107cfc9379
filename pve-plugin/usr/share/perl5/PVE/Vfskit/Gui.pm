package PVE::Vfskit::Gui;

# SPDX-License-Identifier: Apache-2.0
#
# The page of Proxmox VE's web interface gets a script of vfskit's, behind the one that defines the
# interface: in the page itself, because pveproxy hands out no other files than it knows.

use strict;
use warnings;

use PVE::Vfskit::Contract ();
use PVE::Vfskit::MappingDir ();

our $SCRIPT_FILE = '/usr/share/vfskit/pve-plugin/directory-mappings.js';

my $interface = qr/PVE[.]StdWorkspace/; # neither a console nor the interface for phones
my $library =
    qr{^[ \t]*<script\b[^>\n]*\bsrc="/pve2/js/pvemanagerlib[.]js[^>\n]*></script>[ \t]*\n}m;

my sub read_script {
    open(my $handle, '<', $SCRIPT_FILE) or die "cannot read '$SCRIPT_FILE' - $!\n";
    my $script = do { local $/ = undef; <$handle> };
    close($handle) or die "cannot read '$SCRIPT_FILE' - $!\n";

    return $script;
}

# The page with the script; undef if it is not one that the script is for.
my sub with_script {
    my ($page) = @_;

    return undef if $page !~ $interface;

    my @places = $page =~ m/$library/g;
    die "the page does not load its library as it did\n" if scalar(@places) != 1;

    my $script = read_script();
    $page =~ s{($library)}{$1    <script type="text/javascript">\n$script    </script>\n};

    return $page;
}

my sub extend_response {
    my ($response) = @_;

    # Without the properties in the API, fields for them would only lead to errors.
    return if !PVE::Vfskit::MappingDir::is_installed() || $response->code() != 200;
    my $page = with_script($response->content()) // return;
    $response->content($page);

    return;
}

sub wrap_pveproxy {
    my ($package) = @_;

    return if !PVE::Vfskit::Contract::is_known($package, 'get_index');
    PVE::Vfskit::Contract::wrap(
        $package,
        'get_index',
        sub {
            my ($original) = @_;
            return sub {
                my $response = $original->(@_);

                eval { extend_response($response) };
                PVE::Vfskit::Contract::warn_once('gui', "the web interface is left as it is: $@")
                    if $@;

                return $response;
            };
        },
    );

    return;
}

1;

package PVE::Vfskit;

# SPDX-License-Identifier: Apache-2.0
#
# vfskit's plugin for Proxmox VE: live migration of VMs with shared directories. The stand-ins in
# /etc/perl/PVE call module_loaded() behind each module of Proxmox VE that is wrapped. There is no
# policy in here: 'vfsctl --json' is asked.

use strict;
use warnings;

use PVE::Vfskit::Contract ();

our $VERSION = '0.1.0';

# What wraps which module. The first key is the file below a directory of @INC.
my $wrappers = {
    'PVE/AbstractConfig.pm' => ['PVE::Vfskit::GuestConfig', 'wrap_abstract_config'],
    'PVE/GuestHelpers.pm' => ['PVE::Vfskit::Gate', 'wrap_guest_helpers'],
    'PVE/Mapping/Dir.pm' => ['PVE::Vfskit::MappingDir', 'wrap_mapping_dir'],
    'PVE/QemuMigrate.pm' => ['PVE::Vfskit::Migration', 'wrap_qemu_migrate'],
    'PVE/QemuMigrate/Helpers.pm' => ['PVE::Vfskit::Migration', 'wrap_helpers'],
    'PVE/QemuServer.pm' => ['PVE::Vfskit::Migration', 'wrap_helpers'],
    'PVE/Service/pveproxy.pm' => ['PVE::Vfskit::Gui', 'wrap_pveproxy'],
};

# The modules that have a stand-in, sorted.
sub wrapped_modules {
    my @names = sort keys $wrappers->%*;

    return @names;
}

# $name: 'PVE/Mapping/Dir.pm'; $original: the file that was loaded for it. Dies if it cannot be
# wrapped; then nothing of it is.
sub module_loaded {
    my ($name, $original) = @_;

    my $wrapper = $wrappers->{$name} or die "nothing is known about this module\n";
    my ($module, $sub) = $wrapper->@*;

    my $package = $name =~ s{/}{::}gr =~ s{[.]pm\z}{}r;
    PVE::Vfskit::Contract::set_file($package, $original);

    my $file = "$module.pm" =~ s{::}{/}gr;
    require $file;
    $module->can($sub)->($package);

    return;
}

1;

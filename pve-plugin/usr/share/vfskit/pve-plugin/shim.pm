# SPDX-License-Identifier: Apache-2.0
#
# Stands in /etc/perl/PVE/..., which perl searches first, under the name of a module of Proxmox VE:
# loads the module itself from where Proxmox has it, then lets vfskit wrap what it knows. Whatever
# vfskit does here, the module is loaded as if this file were not there.

package PVE::Vfskit::Shim; ## no critic (RequireFilenameMatchesPackage): links have its names

use strict;
use warnings;

my ($name) = __FILE__ =~ m{(PVE/[\w/]+[.]pm)\z};
die "vfskit: '" . __FILE__ . "' is not named after a module of Proxmox VE\n" if !defined($name);

# A relative path would be searched for in @INC again.
my ($original) = map { m{\A[.]{0,2}/} ? $_ : "./$_" }
    grep { $_ ne __FILE__ && -f } map {"$_/$name"} grep { !ref } @INC;
die "Can't locate $name in \@INC (vfskit's stand-in is '" . __FILE__ . "')\n"
    if !defined($original);

require $original;

if (!eval { require PVE::Vfskit; PVE::Vfskit::module_loaded($name, $original); 1; }) {
    warn "vfskit: left '$name' as Proxmox VE has it: $@";
}

1;

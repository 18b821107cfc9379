package PVE::Vfskit::Finding;

# SPDX-License-Identifier: Apache-2.0
#
# Findings of 'vfsctl check --json' as sentences.

use strict;
use warnings;

sub blockers {
    my ($findings) = @_;

    return grep { $_->{severity} eq 'blocker' } ($findings // [])->@*;
}

sub sentence {
    my ($finding) = @_;

    return join(
        '. ',
        "$finding->{code}: $finding->{subject}: $finding->{message}",
        grep { defined && length } $finding->{remedy},
    );
}

1;

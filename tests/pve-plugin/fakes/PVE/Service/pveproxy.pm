package PVE::Service::pveproxy;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use HTTP::Response;

my ($content, $status) = ('', 200);

# What is answered from now on.
sub answer {
    ($content, $status) = @_;

    return;
}

sub get_index {
    my ($nodename, $server, $request, $args) = @_;

    my $page = $content =~ s/\[nodename\]/$nodename/gr;

    return HTTP::Response->new($status, $page);
}

1;

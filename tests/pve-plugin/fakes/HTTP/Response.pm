package HTTP::Response;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

sub new {
    my ($class, $code, $content) = @_;

    return bless({ code => $code, content => $content }, $class);
}

sub code {
    my ($self) = @_;

    return $self->{code};
}

sub content {
    my ($self, $content) = @_;

    $self->{content} = $content if defined($content);

    return $self->{content};
}

1;

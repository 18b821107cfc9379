package PVE::SectionConfig;

# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);

# One class that is its own only type, as PVE::Mapping::Dir is.
sub register {
    my ($class) = @_;

    $class->private()->{plugins}->{ $class->type() } = $class;

    return;
}

# Begins from a copy of the first time's property list.
sub init {
    my ($class) = @_;

    my $data = $class->private();
    my $base = $data->{'base-property-list'} //= { $data->{propertyList}->%* };
    $data->{propertyList} = { map { $_ => { $base->{$_}->%* } } keys $base->%* };
    $data->{options} = { $class->type() => $class->options() };
    for my $property (keys $class->options()->%*) {
        die "undefined property '$property'\n" if !$data->{propertyList}->{$property};
    }

    return;
}

sub createSchema {
    my ($class) = @_;

    return { properties => $class->private()->{propertyList} };
}

# Keys that are not known are dropped with a warning.
sub parse_config {
    my ($class, $name, $content) = @_;

    my $cfg = { ids => {}, digest => sha1_hex($content) };
    my $options = $class->options();
    for my $paragraph (split(/\n{2,}/, $content)) {
        my ($id, @lines) = split(/\n/, $paragraph);
        my $section = $cfg->{ids}->{$id} = {};
        for my $line (@lines) {
            my ($key, $value) = $line =~ m/\A\s+(\S+)\s+(.*\S)\s*\z/ or next;
            if (!$options->{$key}) {
                warn "$name: unable to parse value of '$key': unknown property type\n";
            }
            elsif ($key eq 'map') {
                push $section->{map}->@*, $value;
            }
            else {
                $section->{$key} = $value;
            }
        }
    }

    return $cfg;
}

sub write_config {
    my ($class, undef, $cfg) = @_;

    my $content = '';
    for my $id (sort keys $cfg->{ids}->%*) {
        my $section = $cfg->{ids}->{$id};
        $content .= "$id\n";
        $content .= "\tmap $_\n" for $section->{map}->@*;
        $content .= "\t$_ $section->{$_}\n"
            for sort grep { $_ ne 'map' && defined($section->{$_}) } keys $section->%*;
        $content .= "\n";
    }

    return $content;
}

1;

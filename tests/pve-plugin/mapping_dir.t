#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

my $directory = PluginTest::root() . '/mapping/directory.cfg';
my $truth = PluginTest::root() . '/mapping/vfskit.cfg';

# What the API does with a property; undef removes it.
my sub set_property {
    my ($id, $property, $value) = @_;

    PVE::Mapping::Dir::lock_dir_config(
        sub {
            my $cfg = PVE::Mapping::Dir::config();
            delete $cfg->{ids}->{$id}->{$property};
            $cfg->{ids}->{$id}->{$property} = $value if defined($value);
            PVE::Mapping::Dir::write_dir_config($cfg);
        },
        'update directory mapping failed',
    );

    return;
}

my sub method {
    my ($id) = @_;

    return PVE::Mapping::Dir::config()->{ids}->{$id}->{'live-migration-method'};
}

PluginTest::trust_fakes();
require PVE::Mapping::Dir;
PluginTest::spew(
    $directory,
    "media\n\tmap node=n1,path=/srv/media\n\tmap node=n2,path=/srv/two\n\n"
);

ok(PVE::Vfskit::MappingDir::is_installed(), 'the properties are installed');
my $schema = PVE::Mapping::Dir->createSchema()->{properties};
is_deeply(
    $schema->{'live-migration-method'}->{enum},
    ['find-paths', 'file-handles'],
    'the API knows the methods',
);
ok($schema->{'live-migration-method'}->{optional}, 'which are optional');
is_deeply(
    $schema->{'path-relation'}->{enum},
    ['same-directory', 'replicas'],
    'and what the paths are to each other',
);

is(PVE::Mapping::Dir::config()->{ids}->{media}->{'live-migration-method'}, undef, 'none is set');
is(PluginTest::calls(), '', 'and nobody was asked for it');

set_property('media', 'live-migration-method', 'find-paths');
is(method('media'), 'find-paths', 'a method can be set');
like(PluginTest::slurp($directory), qr/live-migration-method find-paths/, 'in directory.cfg');
like(PluginTest::slurp($truth), qr/live-migration-method find-paths/, 'and in vfskit.cfg');

PluginTest::spew(
    $directory,
    "media\n\tmap node=n1,path=/srv/media\n\tmap node=n2,path=/srv/two\n\n"
);
is(method('media'), 'find-paths', 'what a stock node drops comes back');
set_property('media', 'description', 'Films');
like(PluginTest::slurp($directory), qr/live-migration-method find-paths/, 'with the next write');

set_property('media', 'path-relation', 'same-directory');
is(
    PVE::Mapping::Dir::config()->{ids}->{media}->{'path-relation'},
    'same-directory',
    'the relation can be set',
);

set_property('media', 'live-migration-method', undef);
is(method('media'), undef, 'a method can be removed');
unlike(PluginTest::slurp($truth), qr/live-migration-method/, 'and does not come back');

# A mapping whose paths change here one after the other stays itself.
set_property('media', 'live-migration-method', 'find-paths');
set_property('media', 'map', ['node=n1,path=/srv/new', 'node=n2,path=/srv/two']);
set_property('media', 'map', ['node=n1,path=/srv/new', 'node=n2,path=/srv/newer']);
my $moved = "media\n\tmap node=n1,path=/srv/new\n\tmap node=n2,path=/srv/newer\n\n";
PluginTest::spew($directory, $moved);
is(method('media'), 'find-paths', 'and keeps its method over the next write of a stock node');
set_property('media', 'live-migration-method', undef);

# Another mapping under an old id must not inherit.
set_property('media', 'live-migration-method', 'file-handles');
PluginTest::spew($directory, "media\n\tmap node=n1,path=/srv/other\n\n");
is(method('media'), undef, 'a mapping defined anew gets nothing from its predecessor');

# Nor one that is made again as it was.
my sub define {
    my ($id, $section) = @_;

    PVE::Mapping::Dir::lock_dir_config(
        sub {
            my $cfg = PVE::Mapping::Dir::config();
            delete $cfg->{ids}->{$id};
            $cfg->{ids}->{$id} = { type => 'dir', map => ['node=n1,path=/again'], $section->%* }
                if $section;
            PVE::Mapping::Dir::write_dir_config($cfg);
        },
        'define failed',
    );

    return;
}
define('again', { 'live-migration-method' => 'find-paths' });
define('again');
like(PluginTest::slurp($truth), qr/^again$/m, 'what was said of a removed mapping is still there');
define('again', {});
is(method('again'), undef, 'but a mapping of its name that is made anew does not get it');
unlike(PluginTest::slurp($truth), qr/^again$/m, 'and then it is gone');
define('again');

# ----- a node without the plugin

set_property('media', 'live-migration-method', undef);
PluginTest::answer('node', { nodes => [{ node => 'n1', facts => PluginTest::node_facts() }] });
ok(!eval { set_property('media', 'live-migration-method', 'find-paths'); 1 }, 'it is refused');
like($@, qr/update directory mapping failed: .*missing on n2 \(no facts published\)/, 'by name');
is(method('media'), undef, 'and nothing has changed');

PluginTest::answer(
    'node',
    {
        nodes => [
            { node => 'n1', facts => PluginTest::node_facts() },
            { node => 'n2', facts => PluginTest::node_facts('has-launcher' => JSON::PP::false()) },
        ],
    },
);
ok(!eval { set_property('media', 'live-migration-method', 'find-paths'); 1 }, 'nor half of it');
like($@, qr/n2 \(no launcher in place of virtiofsd\)/, 'which is told');

set_property('media', 'description', 'Music');
is(PVE::Mapping::Dir::config()->{ids}->{media}->{description}, 'Music', 'the rest goes on');

PluginTest::fail('node', 'No facts at all');
ok(!eval { set_property('media', 'live-migration-method', 'find-paths'); 1 }, 'unknown is no');
like($@, qr/No facts at all/, 'with the reason');

# ----- vfsctl is out of order

PluginTest::answer(
    'node',
    { nodes => [map { { node => $_, facts => PluginTest::node_facts() } } qw(n1 n2)] },
);
set_property('media', 'live-migration-method', 'find-paths');
PluginTest::spew($directory, PluginTest::slurp($directory) . "other\n\tmap node=n1,path=/o\n\n");
my $warned = PluginTest::warnings_of(sub {
    local $PVE::Vfskit::Client::VFSCTL = '/nonexistent/vfsctl';
    is(method('media'), 'find-paths', 'what directory.cfg says can be read without it');
});
like($warned, qr/vfskit.cfg' was not considered/, 'which is told');

done_testing();

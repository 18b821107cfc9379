#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

my $text = <<'EOF';
package Example;

sub one {
    # a remark
    return 1;
}

sub one_more { return 2; }
EOF

my $fingerprint = PVE::Vfskit::Contract::fingerprint($text, 'one');
like($fingerprint, qr/\A[0-9a-f]{16}\z/, 'a sub has a fingerprint');
is(
    PVE::Vfskit::Contract::fingerprint("sub one {\n\treturn 1;\n}\n", 'one'),
    $fingerprint,
    'comments and white space do not count',
);
isnt(
    PVE::Vfskit::Contract::fingerprint("sub one {\n    return 2;\n}\n", 'one'),
    $fingerprint,
    'the code does',
);
is(
    PVE::Vfskit::Contract::fingerprint($text, 'none'), undef,
    'a sub that is not there has none'
);

require PVE::QemuMigrate::Helpers;
my $warned = PluginTest::warnings_of(sub {
    ok(
        !PVE::Vfskit::Contract::is_known('PVE::QemuMigrate::Helpers', 'set_migration_caps'),
        'a sub that was never tested is not known',
    ) for 1 .. 2;
});
my $lines = () = $warned =~ m/\n/g;
is($lines, 1, 'which is told once');
like($warned, qr/set_migration_caps.*update vfskit-pve/, 'with the sub and the remedy');

PluginTest::trust_fakes();
ok(
    PVE::Vfskit::Contract::is_known('PVE::QemuMigrate::Helpers', 'set_migration_caps'),
    'a sub that was tested is known',
);

my @doubts = PVE::Vfskit::Contract::doubts_about_migrations();
is("@doubts", '', 'then nothing speaks against wrapping migrations');
PVE::Vfskit::Contract::forget_known('PVE::QemuMigrate::Helpers::check_local_resources');
@doubts = PVE::Vfskit::Contract::doubts_about_migrations();
is(scalar(@doubts), 1, 'until one sub is another one');
like($doubts[0], qr/'PVE::QemuMigrate::Helpers::check_local_resources'/, 'which is named');
PluginTest::trust_fakes();

PVE::Vfskit::Contract::forget_known('PVE::QemuServer::Monitor::mon_cmd');
@doubts = PVE::Vfskit::Contract::doubts_about_migrations();
like("@doubts", qr/\A'PVE::QemuServer::Monitor::mon_cmd' /, 'also one that only asks QEMU');
PluginTest::trust_fakes();

# ----- what begins a migration

require PVE::QemuMigrate;
my $begin = q{mon_cmd($vmid, "migrate", uri => $uri);};
for my $case (
    ['in the known way', $begin, 1],
    ['in another way', q{qmp_cmd($peer, 'migrate', uri => $uri);}, 0],
    ['in two ways', "$begin $begin", 0],
    ['nowhere', q{mon_cmd($vmid, 'query-migrate');}, 0],
    )
{
    my ($what, $code, $is_known) = $case->@*;
    PluginTest::spew(PluginTest::root() . '/Other.pm', "sub phase2 { $code }\n");
    PVE::Vfskit::Contract::set_file('PVE::QemuMigrate', PluginTest::root() . '/Other.pm');
    my $holds = eval { PVE::Vfskit::Contract::assert_begins_migration('PVE::QemuMigrate'); 1 };
    is($holds // 0, $is_known, "a migration that is begun $what");
}
like($@, qr/'PVE::QemuMigrate' does not begin migrations as/, 'is told about');

my $died = !eval {
    PVE::Vfskit::Contract::wrap('PVE::QemuMigrate::Helpers', 'gone', sub { });
    1;
};
ok($died, 'what is not there cannot be wrapped');

done_testing();

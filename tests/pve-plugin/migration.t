#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

my $directory = PluginTest::root() . '/mapping/directory.cfg';

my sub define_mappings {
    my ($text) = @_;

    PluginTest::spew($directory, $text);

    return;
}

my $media = "media\n\tmap node=n1,path=/a\n\tmap node=n2,path=/b\n"
    . "\tlive-migration-method find-paths\n\n";
my $plain = "plain\n\tmap node=n1,path=/p\n\tmap node=n2,path=/p\n\n";

# What a check that found nothing says.
my sub answer_check {
    my (%report) = @_;

    PluginTest::answer(
        'check',
        {
            vms => [{
                vm => '114', source => 'n1', findings => [],
                targets => [{ node => 'n2', findings => [] }], %report,
            }],
        },
    );

    return;
}

my sub check {
    my ($running, $conf) = @_;

    $PVE::AbstractConfig::CONFIGS->{114} = $conf;
    my $loaded = PVE::AbstractConfig->load_config(114);
    my @result;
    my $warned = PluginTest::warnings_of(sub {
        @result = PVE::QemuMigrate::Helpers::check_local_resources($loaded, $running, 1);
    });

    return { local => $result[0], mapped => $result[1], missing => $result[2], said => $warned };
}

PluginTest::trust_fakes();
require PVE::AbstractConfig;
require PVE::QemuMigrate;
define_mappings($media . $plain);
answer_check();

# ----- what is lifted

my $result = check(1, { virtiofs0 => 'media' });
is_deeply($result->{local}, [], 'a share with a method is no blocker');
is($result->{mapped}->{virtiofs0}->{'live-migration'}, 1, 'and is reported as migratable');
is_deeply($result->{missing}, { n1 => [], n2 => [] }, 'to every node');
is($result->{said}, '', 'without a word');
like(
    PluginTest::calls(),
    qr/^check 114 --to all --operation live\b/m,
    'the check is that of a running VM, whatever vfsctl sees',
);

$result = check(1, { virtiofs0 => 'media', virtiofs1 => 'plain' });
my $no_method = "virtiofs (virtiofs1: mapping 'plain' has no live-migration-method)";
is_deeply(
    $result->{local}, [$no_method, 'virtiofs1'],
    'a share without a method stays one, with the reason'
);
ok(!$result->{mapped}->{virtiofs1}->{'live-migration'}, 'and is not migratable');
like($result->{said}, qr/VM 114 .*: virtiofs1: mapping 'plain' has no/, 'which is told');
is($result->{mapped}->{virtiofs0}->{'live-migration'}, 1, 'unlike the other');

$result = check(1, { virtiofs0 => 'media', ivshmem => 'size=1' });
is_deeply($result->{local}, ['ivshmem'], 'other local devices stay blockers');

$result = check(1, { memory => 512 });
is_deeply($result->{local}, [], 'a VM without shares is left alone');

# ----- what the check finds

answer_check(findings => [PluginTest::blocker('The daemon runs with another method')]);
$result = check(1, { virtiofs0 => 'media' });
my $found =
    PVE::Vfskit::Finding::sentence(PluginTest::blocker('The daemon runs with another method'));
is_deeply(
    $result->{local}, ["virtiofs ($found)", 'virtiofs0'],
    'what the check finds keeps the block, with the reason'
);
ok(!$result->{mapped}->{virtiofs0}->{'live-migration'}, 'and the share where it is');
like($result->{said}, qr/VM 114 .*VFS-C001.*another method\. Mend it/, 'with the finding');

answer_check(targets => [{ node => 'n2', findings => [PluginTest::blocker('It is another')] }]);
$result = check(1, { virtiofs0 => 'media' });
$found = PVE::Vfskit::Finding::sentence(PluginTest::blocker('It is another'));
is_deeply(
    $result->{missing}, { n1 => [], n2 => ["virtiofs0 ($found)"] },
    'a target can be blocked alone, with the reason'
);
is($result->{mapped}->{virtiofs0}->{'live-migration'}, 1, 'others stay possible');
like($result->{said}, qr/to 'n2'.*It is another/, 'which is told');

PluginTest::answer('check', { vms => [{ vm => '114', findings => [], targets => [] }] }, 7);
is_deeply(
    check(1, { virtiofs0 => 'media' })->{local}, [],
    'the exit status of findings is none'
);

answer_check(
    targets => [{ node => 'n2', findings => [PluginTest::blocker("'<b>&\n' is no name")] }],
);
define_mappings("other\n\tmap node=n1,path=/o\n\tlive-migration-method find-paths\n\n$media");
$result = check(1, { virtiofs0 => 'media', virtiofs1 => 'other' });
is($result->{missing}->{n2}->[0], 'virtiofs0', 'of several shares');
like(
    $result->{missing}->{n2}->[1], qr/^virtiofs1 \(.*'\?b\?\? ' is no name.*\)$/,
    'the last has the reason, as text that is no HTML'
);
define_mappings($media . $plain);

PluginTest::fail('check', 'The store cannot be read');
$result = check(1, { virtiofs0 => 'media' });
like(
    $result->{local}->[0], qr/^virtiofs \(.*The store cannot be read.*\)$/,
    'a check that fails keeps the block, with the reason'
);
is($result->{local}->[1], 'virtiofs0', 'and the share where it is');
like($result->{said}, qr/stays blocked.*The store cannot be read/, 'with its reason');
answer_check();

my $unknown = { virtiofs0 => 'media' };
my $warned = PluginTest::warnings_of(sub {
    my $local = PVE::QemuMigrate::Helpers::check_local_resources($unknown, 1, 1);
    is($local->[1], 'virtiofs0', 'a configuration of nobody keeps the block');
});
like($warned, qr/not known which VM/, 'which is told');

# ----- offline

is_deeply(check(0, { virtiofs0 => 'plain' })->{local}, [], 'a stopped VM is not blocked');
is_deeply(
    check(0, { virtiofs0 => 'plain', ivshmem => 1 })->{local}, ['ivshmem'],
    'by its shares'
);

# ----- a mapping that was deleted

$result = check(1, { virtiofs0 => 'gone' });
is_deeply($result->{missing}, { n1 => ['virtiofs0'], n2 => ['virtiofs0'] }, 'it is missing');
is_deeply(
    $result->{local}, ["virtiofs (virtiofs0: mapping 'gone' does not exist)", 'virtiofs0'],
    'and a blocker'
);
is(
    PVE::Mapping::Dir::get_node_mapping({ ids => {} }, 'gone', 'n1'), undef,
    'as before elsewhere'
);

# ----- snapshots with memory, and callers that want an exception

ok(
    !eval {
        PVE::QemuMigrate::Helpers::check_non_migratable_resources({ virtiofs0 => 'media' }, 1);
        1;
    },
    'memory is not saved with shares',
);
ok(
    !eval {
        PVE::QemuMigrate::Helpers::check_local_resources({ virtiofs0 => 'media' }, 1, 0);
        1;
    },
    'who asks for an exception gets it',
);

# ----- return-path

$PVE::QemuServer::Monitor::CHARDEVS = ['serial0', 'virtiofs0'];
$PVE::QemuServer::Monitor::CAPABILITIES = { 'return-path' => 0, xbzrle => 1 };
PVE::QemuMigrate::Helpers::set_migration_caps(114);
is_deeply(
    $PVE::QemuServer::Monitor::CAPABILITIES,
    { 'return-path' => 1, xbzrle => 0 },
    'return-path is switched on behind what Proxmox VE sets',
);
PVE::QemuMigrate::Helpers::set_migration_caps(114, 1);
is($PVE::QemuServer::Monitor::CAPABILITIES->{'return-path'}, 0, 'but not to save memory');

$PVE::QemuServer::Monitor::CHARDEVS = ['serial0'];
PVE::QemuMigrate::Helpers::set_migration_caps(114);
is($PVE::QemuServer::Monitor::CAPABILITIES->{'return-path'}, 0, 'nor for a VM without shares');
ok(PVE::QemuMigrate::migrate(114), 'which migrates as ever');

$PVE::QemuServer::Monitor::CHARDEVS = ['virtiofs3'];
ok(PVE::QemuMigrate::migrate(114), 'a VM with shares migrates with it');
is($PVE::QemuServer::Monitor::CAPABILITIES->{'return-path'}, 1, 'switched on');

{
    local $PVE::QemuServer::Monitor::REFUSES_CAPABILITIES = 1;
    $PVE::QemuServer::Monitor::CAPABILITIES = { 'return-path' => 0 };
    @PVE::QemuServer::Monitor::CALLS = ();
    my $refused;
    PluginTest::warnings_of(sub {
        $refused = !eval { PVE::QemuMigrate::migrate(114); 1 }
    });
    ok($refused, 'and never without it');
    like($@, qr/return-path could not be switched on/, 'with the reason');
    ok(
        !(grep { $_->[1] eq 'migrate' } @PVE::QemuServer::Monitor::CALLS),
        'QEMU was not told to'
    );
}

# ----- versions of Proxmox VE that are not known

for my $sub ('PVE::QemuMigrate::Helpers::set_migration_caps', 'PVE::QemuServer::Monitor::mon_cmd') {
    PVE::Vfskit::Contract::forget_known($sub);
    $PVE::QemuServer::Monitor::CAPABILITIES = { 'return-path' => 0 };
    @PVE::QemuServer::Monitor::CALLS = ();
    my $told = PluginTest::warnings_of(sub { PVE::QemuMigrate::Helpers::set_migration_caps(114) });
    is(
        $PVE::QemuServer::Monitor::CAPABILITIES->{'return-path'}, 0,
        "an unknown $sub stays as it is"
    );
    ok(
        !(grep { $_->[1] eq 'query-chardev' } @PVE::QemuServer::Monitor::CALLS),
        'QEMU is not asked'
    );
    like($told, qr/'$sub'.*update vfskit-pve/, 'which is told');
    is_deeply(check(1, { virtiofs0 => 'media' })->{local}, ['virtiofs', 'virtiofs0'], 'a block');
    PluginTest::trust_fakes();
}

PluginTest::trust_fakes('PVE::QemuMigrate::Helpers::check_local_resources');
PVE::Vfskit::Contract::forget_known('PVE::QemuMigrate::Helpers::check_local_resources');
$result = check(1, { virtiofs0 => 'media' });
is_deeply($result->{local}, ['virtiofs', 'virtiofs0'], 'an unknown version keeps its block');
ok(!$result->{mapped}->{virtiofs0}->{'live-migration'}, 'for all shares');
like($result->{said}, qr/left as it is/, 'which is told');
is(check(1, { virtiofs0 => 'media' })->{said}, '', 'once');

done_testing();

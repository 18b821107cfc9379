#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

PluginTest::trust_fakes();
require PVE::GuestHelpers;

my sub pre_start {
    my ($conf) = @_;

    return eval { PVE::GuestHelpers::exec_hookscript($conf, 114, 'pre-start', 1); 1 };
}

my sub answer_target {
    my ($findings, $status) = @_;

    PluginTest::answer(
        'target-half',
        { vms => [{ vm => '114', targets => [{ node => 'n1', findings => $findings // [] }] }] },
        $status,
    );

    return;
}

my $vm = { virtiofs0 => 'media', hookscript => 'local:snippets/own' };

ok(pre_start($vm), 'a VM that just starts');
is(PluginTest::calls(), '', 'is not looked at');
is_deeply(
    \@PVE::GuestHelpers::CALLS, [['local:snippets/own', 114, 'pre-start']],
    'its hook runs'
);

{
    local $ENV{PVE_MIGRATED_FROM} = 'n2';
    answer_target();
    ok(pre_start($vm), 'an incoming VM is taken');
    like(PluginTest::calls(), qr/^check 114 --target-half /m, 'after a look');

    answer_target([PluginTest::blocker('Nothing is mounted')], 7);
    @PVE::GuestHelpers::CALLS = ();
    ok(!pre_start($vm), 'or refused');
    like($@, qr/cannot take VM 114: VFS-C001.*Nothing is mounted\. Mend it/, 'with the finding');
    is(scalar(@PVE::GuestHelpers::CALLS), 1, 'behind its own hookscript, which may mount');

    ok(pre_start({ memory => 512 }), 'a VM without shares is none of our business');
    ok(
        eval { PVE::GuestHelpers::exec_hookscript($vm, 114, 'post-start'); 1 },
        'nor is another phase',
    );

    my $warning = PluginTest::blocker('It is slow');
    $warning->{severity} = 'warning';
    answer_target([$warning], 6);
    ok(pre_start($vm), 'a warning keeps nobody out');

    PluginTest::fail('target-half', 'The mapping is gone');
    ok(!pre_start($vm), 'a check that fails does');
    like($@, qr/The mapping is gone/, 'with its reason');

    local $PVE::Vfskit::Client::VFSCTL = '/nonexistent/vfsctl';
    ok(!pre_start($vm), 'as does one that cannot be run');

    ok(!pre_start({ $vm->%*, hookscript => 'local:snippets/fails' }), 'and its own hookscript');
    like($@, qr/hookscript error/, 'whose words are kept');
}

{
    local $ENV{PVE_MIGRATED_FROM} = '';
    local $PVE::Vfskit::Client::VFSCTL = '/nonexistent/vfsctl';
    ok(pre_start($vm), 'a plain start never depends on us');
}

done_testing();

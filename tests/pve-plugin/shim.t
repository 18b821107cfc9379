#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

# But for one sub, the fakes count as a version of Proxmox VE that was tested.
PluginTest::trust_fakes('PVE::SectionConfig::init');

my ($shim) = map {"$_/PVE/Mapping/Dir.pm"} grep {m{/shims\z}} @INC;
ok(-l $shim, 'the stand-in is a link');

my $warned = PluginTest::warnings_of(sub { require PVE::Mapping::Dir });
is($INC{'PVE/Mapping/Dir.pm'}, $shim, 'it is found first');
like(
    PVE::Vfskit::Contract::file_of('PVE::Mapping::Dir'), qr{/fakes/PVE/},
    'and loads the original'
);

like($warned, qr/left as it is: 'PVE::SectionConfig::init'/, 'an unknown version is told');
ok(!PVE::Vfskit::MappingDir::is_installed(), 'and not touched');
ok(!PVE::Mapping::Dir::options()->{'live-migration-method'}, 'it has stock properties');
PluginTest::spew(
    PluginTest::root() . '/mapping/directory.cfg',
    "media\n\tmap node=n1,path=/a\n\n"
);
is_deeply([keys PVE::Mapping::Dir::config()->{ids}->%*], ['media'], 'and works');

# Whatever happens to the plugin, the module is loaded.
{
    no warnings 'redefine';
    local *PVE::Vfskit::module_loaded = sub { die "out of order\n" };
    my $said = PluginTest::warnings_of(sub { require PVE::GuestHelpers });
    like($said, qr{left 'PVE/GuestHelpers.pm' as Proxmox VE has it: out of order}, 'it is told');
    ok(defined(&PVE::GuestHelpers::exec_hookscript), 'the original is there');
}

{
    local @INC = grep { !m{/fakes\z} } @INC;
    ok(!eval { require PVE::AbstractConfig; 1 }, 'a module that Proxmox VE does not have');
    like($@, qr{Can't locate PVE/AbstractConfig.pm}, 'is missed as perl misses it');
}

done_testing();

#!/usr/bin/perl -T
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use PluginTest;
use Test::More;

PluginTest::trust_fakes();
require PVE::Mapping::Dir;
require PVE::Service::pveproxy;

$PVE::Vfskit::Gui::SCRIPT_FILE = PluginTest::plugin_file('directory-mappings.js');

my $library =
    qq{    <script type="text/javascript" src="/pve2/js/pvemanagerlib.js?ver=9.2.11"></script>\n};
my $workspace = "<script>Ext.onReady(function() { Ext.create('PVE.StdWorkspace');});</script>\n";

my sub page_for {
    my ($page, $status) = @_;

    PVE::Service::pveproxy::answer($page, $status // 200);

    return PVE::Service::pveproxy::get_index('n1', {}, {}, {})->content();
}

my $page = page_for("<head>[nodename]\n$library$workspace</head>\n");
my $script = PluginTest::slurp($PVE::Vfskit::Gui::SCRIPT_FILE);
is(
    $page,
    qq{<head>n1\n$library    <script type="text/javascript">\n$script    </script>\n$workspace</head>\n},
    'the script stands behind the library, and before the interface starts',
);
unlike($script, qr{</script|<!--}i, 'nothing in it ends it');
unlike($script, qr/[^\x00-\x7f]/, 'and it has no encoding');

for my $other ("a console\n", "$library a page that is not the interface\n") {
    is(page_for($other), $other, 'another page stays as it is');
}
is(page_for("$library$workspace", 500), "$library$workspace", 'so does an answer that is none');

my $warned = PluginTest::warnings_of(
    sub {
        for my $strange ($workspace, "$library$library$workspace") {
            is(page_for($strange), $strange, 'an interface that loads differently is left alone');
        }
    },
);
like($warned, qr/left as it is: the page does not load its library as it did/, 'which is told');
is(scalar(() = $warned =~ m/\n/g), 1, 'once');

{
    local $PVE::Vfskit::Gui::SCRIPT_FILE = '/nonexistent/script';
    is(
        page_for("$library$workspace"), "$library$workspace",
        'without the script there is the page'
    );
}
{
    no warnings 'redefine';
    local *PVE::Vfskit::MappingDir::is_installed = sub { return 0 };
    is(
        page_for("$library$workspace"), "$library$workspace",
        'no fields for properties that the API does not have',
    );
}

done_testing();

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, libvirtd and virtlogd with the qemu driver (10.5 or later), virsh, qemu-system-x86_64, ip.
"""A guest moves between two real libvirt hosts that have the share at different paths and virtiofsd in different
places, by virsh and with our hook: managed by libvirt and by vfskit, while it holds a file open and writes."""
import json
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from libvirt_case import KEPT, MANAGED, VIRTIOFSD, WRAPPER, LibvirtCase  # noqa: E402
from libvirt_hosts import domain_xml, shares_metadata  # noqa: E402


class Hook(LibvirtCase):
    @classmethod
    def daemon_of(cls, host):
        daemon = f'/run/daemon-of-{host.name}'
        host.write(daemon, '')
        shutil.copy(VIRTIOFSD, host.path(daemon))
        host.path(daemon).chmod(0o755)
        return daemon

    def source(self, host):
        return re.search(r"<source (dir|socket)='[^']*'/>",
                         host.virsh('dumpxml', 'web').stdout).group(0)

    def test_libvirt_managed_there_and_back(self):
        # The source's binary is not there at the destination, and the path is another one.
        self.start(MANAGED(binary='/run/daemon-of-host-a'))
        self.a.migrate('web', self.b)
        self.assertEqual(self.source(self.b), "<source dir='/srv/at &amp; b'/>")
        self.assertIn(f"<binary path='{WRAPPER}'", self.b.virsh('dumpxml', 'web').stdout)
        arguments = self.b.run('sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"').stdout.split('\n')
        self.assertIn('--migration-mode=find-paths', arguments)
        self.assertIn('--migration-verify-handles', arguments)
        self.alive(self.b)
        self.b.migrate('web', self.a)
        self.assertEqual(self.source(self.a), "<source dir='/srv/media'/>")
        self.nothing_was_lost(self.a)

    def test_kept_by_vfskit_there_and_back_over_a_restart_of_libvirtd(self):
        self.start(KEPT, cache='always')
        self.assertEqual(self.daemons(self.a), [('web', 'films', 'connected')])
        self.a.restart_libvirtd()
        self.assertEqual(self.a.state('web'), 'running')
        self.a.migrate('web', self.b)
        self.assertEqual(self.daemons(self.b), [('web', 'films', 'connected')])
        self.assertEqual(self.daemons(self.a), [])
        record = json.loads(self.b.path('/run/vfskit/web/films.json').read_text())
        self.assertEqual(record['shared-dir'], '/srv/at & b')
        self.assertIn('--cache=always', record['argv'])
        self.alive(self.b)
        self.b.migrate('web', self.a)
        self.nothing_was_lost(self.a)
        self.a.virsh('destroy', 'web')
        self.assertEqual(self.daemons(self.a), [])
        self.assertFalse(self.a.path('/run/vfskit/web').exists())

    def test_a_missing_directory_stops_the_migration_before_it_begins(self):
        self.start(KEPT)
        self.write_store(self.b, there='/srv/missing')
        refused = self.a.migrate('web', self.b, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("vfskit: domain 'web': share 'films': There is no '/srv/missing' on 'host-b'", refused.stderr)
        self.assertIn('Create or mount the directory on the target (VFS-C020)', refused.stderr)
        self.assertEqual(self.a.state('web'), 'running')
        self.assertEqual(self.daemons(self.b), [])
        self.nothing_was_lost(self.a)

    def test_a_mapping_without_a_path_there_stops_it_too(self):
        self.start(MANAGED(binary='/run/daemon-of-host-a'))
        self.write_store(self.b, there=False)
        refused = self.a.migrate('web', self.b, check=False)
        self.assertIn("has no path on node 'host-b'", refused.stderr)
        self.assertIn('vfsctl mapping set media', refused.stderr)
        self.alive(self.a)
        self.refuse_a_node_without_any_daemon()
        self.nothing_was_lost(self.a)

    def refuse_a_node_without_any_daemon(self):
        self.write_store(self.b)
        config = self.b.path('/etc/vfskit/libvirt.conf').read_text()
        self.addCleanup(self.b.write, '/etc/vfskit/libvirt.conf', config)
        self.b.write('/etc/vfskit/libvirt.conf', 'wrapper = /run/none\ndaemon = /run/none\n')
        for description in self.b.path('/etc/qemu/vhost-user').glob('*.json'):
            self.addCleanup(self.b.write, f'/etc/qemu/vhost-user/{description.name}', description.read_text())
            description.write_text('')
        refused = self.a.migrate('web', self.b, check=False)
        self.assertIn('Install virtiofsd on the target (VFS-C040)', refused.stderr)

    def test_an_offline_migration_stores_the_paths_of_the_other_node(self):
        xml = domain_xml('web', self.image, MANAGED(binary='/run/daemon-of-host-a'), shares_metadata(films='media'))
        self.a.define(xml)
        move = ('migrate', '--offline', '--persistent', 'web', self.b.uri)
        self.write_store(self.b, method=False)
        refused = self.a.virsh(*move, check=False)
        self.assertIn('VFS-C014', refused.stderr)  # the hook cannot tell it from a live one
        self.write_store(self.b)
        self.a.virsh(*move)
        self.assertEqual(self.b.state('web'), 'shut off')
        stored = self.b.virsh('dumpxml', '--inactive', 'web').stdout
        self.assertIn("<source dir='/srv/at &amp; b'/>", stored)
        self.assertIn(f"<binary path='{WRAPPER}'", stored)

    def test_a_saved_guest_comes_back_where_the_mapping_is_now(self):
        self.start(MANAGED(binary=WRAPPER))
        self.a.virsh('managedsave', 'web')
        self.a.path('/srv/moved').mkdir()
        self.a.run('mount', '--bind', self.share, '/srv/moved')
        self.write_store(self.a, here='/srv/moved')
        self.a.virsh('start', 'web')
        self.a.shell.connect()
        self.assertEqual(self.source(self.a), "<source dir='/srv/moved'/>")
        self.nothing_was_lost(self.a)

    def test_a_daemon_that_does_not_start_keeps_the_guest_from_starting(self):
        self.a.define(domain_xml('web', self.image, KEPT, shares_metadata(films=('media', {'sandbox': 'nowhere'}))))
        failed = self.a.virsh('start', 'web', check=False)
        self.assertIn("vfskit: domain 'web':", failed.stderr)
        self.assertIn('nowhere', failed.stderr)
        self.assertEqual(self.daemons(self.a), [])

    def test_a_destroyed_guest_leaves_no_daemon(self):
        self.start(KEPT)
        self.a.run('sh', '-c', 'kill -KILL $(cat /run/libvirt/qemu/web.pid)')
        for _ in range(100):
            if self.daemons(self.a) == []:
                break
            self.a.run('sleep', '0.1')
        self.assertEqual(self.daemons(self.a), [])


if __name__ == '__main__':
    unittest.main()

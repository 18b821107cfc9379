#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, libvirtd and virtlogd with the qemu driver (10.5 or later), virsh, qemu-system-x86_64, ip.
"""An administrator's day with two libvirt hosts: attach, migrate, watch, detach, while the guest writes."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / 'tests/system/support'), str(ROOT / 'tests/schemas')]
import vm  # noqa: E402
from libvirt_hosts import Hosts, domain_xml  # noqa: E402
from schema_library import SchemaLibrary  # noqa: E402

VIRTIOFSD = os.environ['VFSKIT_VIRTIOFSD']
VFSCTL = os.environ['VFSKIT_VFSCTL']
HOOK = os.environ['VFSKIT_HOOK']
WRAPPER = os.environ['VFSKIT_WRAPPER']
KEEPER = os.environ['VFSKIT_KEEPER']

STORE = '''version: 1
mappings:
  media:
    live-migration-method: find-paths
    path-relation: same-directory
    nodes: {host-a: /srv/media, host-b: /srv/there}
'''
PATHS = {'host-a': '/srv/media', 'host-b': '/srv/there'}
# Free PCIe ports, without which nothing can be attached to a running q35 guest.
PORTS = "<controller type='pci' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 4


class Operate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = Hosts()
        cls.addClassCleanup(cls.hosts.close)
        cls.share = cls.hosts.directory / 'share'
        cls.share.mkdir()
        for host in cls.hosts.both():
            host.install_vfskit(HOOK, VFSCTL, VIRTIOFSD, WRAPPER)
            host.write('/etc/vfskit/mappings.yaml', STORE)
            host.path(PATHS[host.name]).mkdir()
            host.run('mount', '--bind', cls.share, PATHS[host.name])
        cls.image = vm.make_initramfs(cls.hosts.directory, {'/bin/keeper': KEEPER})
        cls.image.chmod(0o644)
        cls.hosts.start()
        cls.a, cls.b = cls.hosts.both()

    def setUp(self):
        (self.share / 'kept').unlink(missing_ok=True)
        self.a.define(domain_xml('web', self.image, PORTS))
        self.a.virsh('start', 'web')
        self.a.shell.connect(waits_for_boot=True)

    def tearDown(self):
        for host in self.hosts.both():
            host.virsh('destroy', 'web', check=False)
            host.virsh('undefine', 'web', check=False)

    def vfsctl(self, host, *words, status=0):
        done = host.run(VFSCTL, *words, check=False)
        self.assertEqual(done.returncode, status, f'{words}: {done.stdout}{done.stderr}')
        return done

    def attach(self, *options):
        self.vfsctl(self.a, 'attach', 'web', 'media', '--binary', self.daemon_for(options), *options)
        self.a.shell.run('mount -t virtiofs media /mnt')
        self.a.shell.run('keeper /mnt/kept /tmp/stop >/tmp/keeper.log 2>&1 & echo $! >/tmp/keeper.pid')

    @staticmethod
    def daemon_for(options):
        return VIRTIOFSD if '--external' in options else WRAPPER

    def migrate_words(self, *options):
        return ('migrate', 'web', 'host-b', '--desturi', self.b.uri, '--migrate-uri', f'tcp://{self.b.address}',
                *options)

    def in_background(self, host, *words):
        """vfsctl on that host while the test goes on; tell() signals it, which nsenter would not pass on."""
        shell = 'echo $$ >/run/vfsctl.pid; exec "$@"'
        process = subprocess.Popen(
            ['nsenter', f'--target={host.pid}', '--mount', '--net', '--uts', '--pid', '--', 'sh', '-c', shell, 'sh',
             VFSCTL, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate, timeout=60)
        self.addCleanup(self.tell, host, 'TERM')
        return process

    @staticmethod
    def tell(host, name):
        host.run('sh', '-c', f'kill -{name} $(cat /run/vfsctl.pid)', check=False)

    def nothing_was_lost(self, host):
        host.shell.run('touch /tmp/stop; while kill -0 $(cat /tmp/keeper.pid) 2>/dev/null; do sleep 0.1; done; sync')
        word, count = host.shell.run('cat /tmp/keeper.log').split()[:2]
        self.assertEqual(word, 'kept')
        self.assertEqual((self.share / 'kept').read_text(),
                         ''.join(f'{number:015}\n' for number in range(int(count))))

    def sources(self, host, *words):
        domain = ElementTree.fromstring(host.virsh('dumpxml', 'web', *words).stdout)
        found = [source.attrib for source in domain.findall('devices/filesystem/source')]
        return [source.get('dir') or source.get('socket') for source in found]

    def daemons(self, host):
        return [each['tag'] for each in json.loads(self.vfsctl(host, 'daemon', 'list', '--json').stdout)['daemons']]

    def test_a_share_that_libvirt_keeps_is_attached_migrated_and_detached(self):
        self.attach()
        self.assertEqual(self.sources(self.a, '--inactive'), ['/srv/media'])
        done = self.vfsctl(self.a, *self.migrate_words('--json'))
        events = [json.loads(line) for line in done.stdout.splitlines()]
        library = SchemaLibrary(ROOT)
        for event in events:
            self.assertEqual(library.faults('migrate-event', event), [])
        self.assertEqual((events[0]['event'], events[-1]['event']), ('planned', 'done'))
        self.assertGreater(events[-1]['downtime-ms'], 0)
        self.b.shell.connect()
        self.assertEqual(self.b.state('web'), 'running')
        self.assertEqual(self.sources(self.b), ['/srv/there'])
        self.assertEqual(self.sources(self.b, '--inactive'), ['/srv/there'])
        self.nothing_was_lost(self.b)
        self.b.shell.run('umount /mnt')
        self.vfsctl(self.b, 'detach', 'web', 'media')
        self.assertEqual(self.sources(self.b), [])
        self.assertEqual(self.sources(self.b, '--inactive'), [])

    def test_a_share_that_vfskit_keeps_outlives_a_restart_of_libvirt(self):
        self.attach('--external', '--cache', 'always')
        self.assertEqual(self.daemons(self.a), ['media'])
        self.a.restart_libvirtd()
        self.vfsctl(self.a, *self.migrate_words())
        self.b.shell.connect()
        self.assertEqual(self.daemons(self.a), [])
        self.assertEqual(self.daemons(self.b), ['media'])
        record = json.loads(self.b.path('/run/vfskit/web/media.json').read_text())
        self.assertIn('--cache=always', record['argv'])
        self.nothing_was_lost(self.b)
        self.b.shell.run('umount /mnt')
        self.vfsctl(self.b, 'detach', 'web', 'media')
        self.assertEqual(self.daemons(self.b), [])

    def test_what_virsh_stores_wrongly_is_mended_by_the_watch(self):
        self.attach()
        watch = self.in_background(self.b, 'watch', '--json')
        self.a.migrate('web', self.b, '--persistent')
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event['event'], event['domain']), ('mended', 'web'))
        self.assertEqual(SchemaLibrary(ROOT).faults('watch-event', event), [])
        self.assertEqual(self.sources(self.b, '--inactive'), ['/srv/there'])
        self.nothing_was_lost(self.b)

    def test_a_restart_of_libvirt_is_told_for_shares_that_it_keeps(self):
        self.attach()
        watch = self.in_background(self.a, 'watch', '--json')
        time.sleep(1)  # it must have connected; too early a restart would only make the test fail
        self.a.restart_libvirtd()
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event['event'], event['domain']), ('stuck', 'web'))
        self.nothing_was_lost(self.a)

    def test_a_guest_whose_daemon_has_ended_is_not_lost(self):
        self.attach()
        self.a.shell.run('touch /tmp/stop; while kill -0 $(cat /tmp/keeper.pid) 2>/dev/null; do sleep 0.1; done')
        self.a.run('sh', '-c', 'kill -9 $(cat /run/libvirt/qemu/*-web-fs0-fs.pid)')
        refused = self.vfsctl(self.a, *self.migrate_words(), status=4)
        self.assertIn('has ended, and QEMU would lose the guest', refused.stderr)
        self.assertEqual(self.a.state('web'), 'running')

    def test_a_migration_is_cancelled_and_the_guest_goes_on(self):
        self.attach()
        migration = self.in_background(self.a, *self.migrate_words('--json', '--bandwidth', '1'))
        for line in migration.stdout:
            if json.loads(line)['event'] == 'progress':
                break
        self.tell(self.a, 'INT')
        _, errors = migration.communicate(timeout=60)
        self.assertEqual(migration.returncode, 1, errors)
        self.assertIn('It was cancelled, and the guest goes on here', errors)
        self.assertEqual(self.a.state('web'), 'running')
        self.assertEqual(self.b.state('web'), '')
        self.nothing_was_lost(self.a)


if __name__ == '__main__':
    unittest.main()

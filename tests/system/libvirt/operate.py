#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, libvirtd and virtlogd with the qemu driver (10.5 or later), virsh, qemu-system-x86_64, ip.
"""An administrator's day with two libvirt hosts: attach, migrate, watch, detach, while the guest writes."""
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from libvirt_case import PORTS, ROOT, VIRTIOFSD, WRAPPER, LibvirtCase, SchemaLibrary  # noqa: E402


class Operate(LibvirtCase):
    there = '/srv/there'

    def setUp(self):
        super().setUp()
        self.boot(PORTS)

    def attach(self, *options):
        self.vfsctl(self.a, 'attach', 'web', 'media', '--binary', self.daemon_for(options), *options)
        self.keep('media')

    @staticmethod
    def daemon_for(options):
        return VIRTIOFSD if '--external' in options else WRAPPER

    def tags(self, host):
        return [tag for _, tag, _ in self.daemons(host)]

    def test_a_share_that_libvirt_keeps_is_attached_migrated_and_detached(self):
        self.attach()
        self.assertEqual(self.sources(self.a, '--inactive'), ['/srv/media'])
        events = self.migrate('--json')
        # How often progress is told depends on the machine, and so does whether the other host is waited for.
        self.assertEqual([event['event'] for event in events if event['event'] not in ('progress', 'warning')],
                         ['checked', 'planned', 'done'])
        self.assertIn(events[0]['vm']['targets'][0]['verdict'], ('ok', 'note'))
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
        self.assertEqual(self.tags(self.a), ['media'])
        self.a.restart_libvirtd()
        self.migrate()
        self.b.shell.connect()
        self.assertEqual(self.tags(self.a), [])
        self.assertEqual(self.tags(self.b), ['media'])
        record = json.loads(self.b.path('/run/vfskit/web/media.json').read_text())
        self.assertIn('--cache=always', record['argv'])
        self.nothing_was_lost(self.b)
        self.b.shell.run('umount /mnt')
        self.vfsctl(self.b, 'detach', 'web', 'media')
        self.assertEqual(self.tags(self.b), [])

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
        self.stop_keeper(self.a)
        self.a.run('sh', '-c', 'kill -9 $(cat /run/libvirt/qemu/*-web-fs0-fs.pid)')
        for options in ((), ('--force',)):
            refused = self.migrate(*options, status=4)
            self.assertIn('has ended, and QEMU would lose the guest', refused.stderr)
            self.assertRegex(refused.stdout, 'VFS-C04[45]')  # dead, or not to be found
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

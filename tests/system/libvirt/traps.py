#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, libvirtd and virtlogd with the qemu driver (10.5 or later), virsh, qemu-system-x86_64, qemu-img, ip;
# network for Debian 12's libvirt 9.0 and for a kernel with 9p.
"""What makes a migration of shares fail or stick between real libvirt hosts: each is refused or told beforehand, and
the guest, which holds a file open and writes, goes on. Also saving to a file and snapshots with memory."""
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import vm  # noqa: E402
from libvirt_case import KEPT, MANAGED, PORTS, WRAPPER, LibvirtCase  # noqa: E402
from libvirt_hosts import unpack_old_libvirt  # noqa: E402

NINEP = '''<filesystem type='mount'><driver type='path'/><source dir='/srv/media'/><target dir='media'/></filesystem>'''


class Traps(LibvirtCase):
    @classmethod
    def guest_files(cls):
        """The modules for 9p, which Debian's cloud kernel does not have."""
        cls.ninep_kernel, modules = vm.ninep_kernel(cls.hosts.directory)
        return super().guest_files() | modules

    def test_another_hook_that_sleeps_is_told_while_the_guest_goes_on(self):
        self.start(MANAGED(binary=WRAPPER))
        slow = '/etc/libvirt/hooks/qemu.d/50-slow'
        self.b.write(slow, '#!/bin/sh\ncat >/dev/null\n[ "$2" != migrate ] || sleep 6\n', 0o755)
        self.addCleanup(self.b.path(slow).unlink)
        events = self.migrate('--json')
        told = [event['message'] for event in events if event['event'] == 'warning']
        self.assertEqual(len(told), 1)
        self.assertIn('Waiting for host-b: its hooks', told[0])
        self.assertEqual(events[-1]['event'], 'done')
        self.b.shell.connect()
        self.nothing_was_lost(self.b)

    def test_a_guest_that_outlived_libvirt_is_refused_until_its_share_is_attached_again(self):
        self.boot(PORTS)
        attach = ('attach', 'web', 'media', '--binary', WRAPPER)
        self.vfsctl(self.a, *attach)
        self.keep('media')
        self.a.restart_libvirtd()
        refused = self.migrate(status=4)
        self.assertIn('VFS-C064', refused.stderr)
        by_hand = self.a.migrate('web', self.b, check=False)
        self.assertIn('migration with this virtiofs device is not supported', by_hand.stderr)
        self.alive(self.a)
        self.nothing_was_lost(self.a)
        self.a.shell.run('umount /mnt; rm /tmp/stop')
        self.vfsctl(self.a, 'detach', 'web', 'media')
        (self.share / 'kept').unlink()
        self.vfsctl(self.a, *attach)
        self.keep('media')
        self.migrate()  # the guest is older than libvirt still, its share's daemon is not
        self.b.shell.connect()
        self.nothing_was_lost(self.b)

    def test_a_mounted_9p_export_stops_it_and_an_unmounted_one_moves_along(self):
        self.start(MANAGED(binary=WRAPPER), NINEP, kernel=self.ninep_kernel)
        self.a.shell.run(f'{vm.mount_ninep("media", "/old")}; ls /old/kept')
        refused = self.migrate(status=4)
        self.assertIn('VFS-C075', refused.stdout)
        self.assertIn("mount_tag 'media'", refused.stderr)
        for by_hand in (self.a.migrate('web', self.b, check=False),
                        self.a.virsh('save', 'web', '/run/saved', check=False)):
            self.assertIn('is mounted in the guest', by_hand.stderr)
        self.alive(self.a)
        self.a.shell.run('umount /old')
        self.a.migrate('web', self.b)
        self.assertEqual(self.sources(self.b), [self.there, self.there])
        self.b.shell.run(f'{vm.mount_ninep("media", "/old")}; ls /old/kept; umount /old')
        self.nothing_was_lost(self.b)

    def test_every_road_but_post_copy(self):
        self.start(KEPT)
        refused = self.a.migrate('web', self.b, '--postcopy', check=False)
        self.assertIn('Postcopy is not supported', refused.stderr)
        self.alive(self.a)
        self.a.migrate('web', self.b, '--p2p')
        self.alive(self.b)
        self.b.migrate('web', self.a, '--parallel', '--parallel-connections', '2')
        self.alive(self.a)
        self.a.migrate('web', self.b, '--p2p', '--tunnelled')
        self.nothing_was_lost(self.b)

    def test_a_directory_without_an_open_file_sends_the_guest_back(self):
        self.serve_empty_directory_there()
        self.start(KEPT)
        refused = self.a.migrate('web', self.b, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual((self.a.state('web'), self.b.state('web')), ('running', ''))
        self.assertEqual(self.daemons(self.b), [])
        self.alive(self.a)
        self.nothing_was_lost(self.a)

    def test_guest_error_takes_the_guest_along_and_leaves_the_file_behind(self):
        self.serve_empty_directory_there()
        self.start(KEPT, **{'on-error': 'guest-error'})
        self.a.migrate('web', self.b)
        self.assertIn('Input/output error', self.stop_keeper(self.b))
        self.b.shell.run('echo new >/mnt/new')
        self.assertEqual(self.b.path('/srv/empty/new').read_text(), 'new\n')

    def serve_empty_directory_there(self):
        self.b.path('/srv/empty').mkdir(exist_ok=True)
        self.write_store(self.a, self.b, there='/srv/empty', relation='replicas')

    def test_an_old_libvirt_there_is_a_door_that_opens_once(self):
        self.start(KEPT)
        self.b.use_libvirt_of(unpack_old_libvirt())
        self.addCleanup(self.b.use_own_libvirt)
        tried = self.migrate('--dry-run', status=6)
        self.assertIn('VFS-C063', tried.stdout)
        self.assertIn('libvirt 9.0.0', tried.stdout)
        checked = next(event for event in self.migrate('--json') if event['event'] == 'checked')
        found = [finding['code'] for finding in checked['vm']['targets'][0]['findings']]
        self.assertIn('VFS-C063', found)
        self.b.shell.connect()
        self.alive(self.b)
        back = self.migrate(target=self.a, status=4)
        self.assertIn('VFS-C062', back.stderr)
        self.assertIn("It has libvirt 9.0.0, 10.5.0 is needed", back.stdout)
        self.nothing_was_lost(self.b)
        self.b.virsh('destroy', 'web')

    def test_a_saved_guest_is_restored_on_another_node(self):
        for filesystem, source in ((MANAGED(binary=WRAPPER), self.there), (KEPT, '/run/vfskit/web/films.sock')):
            with self.subTest(source):
                self.setUp()
                self.start(filesystem)
                saved = self.hosts.directory / 'saved'
                self.a.virsh('save', 'web', saved)
                self.assertEqual(self.daemons(self.a), [])
                self.write_store(self.b, there='/srv/missing')
                refused = self.b.virsh('restore', saved, check=False)
                self.assertIn("There is no '/srv/missing' on 'host-b'", refused.stderr)
                self.b.path('/srv/empty').mkdir(exist_ok=True)
                self.write_store(self.b, there='/srv/empty')
                refused = self.b.virsh('restore', saved, check=False)
                self.assertIn('Input/output error', refused.stderr)  # the open file is not there
                self.b.write('/etc/vfskit/mappings.yaml', self.store())
                self.b.virsh('restore', saved)
                self.b.shell.connect()
                self.assertEqual(self.sources(self.b), [source])
                self.alive(self.b)
                self.save_and_restore_with_vfsctl(self.b, self.a)
                self.nothing_was_lost(self.a)
                self.tearDown()

    def save_and_restore_with_vfsctl(self, source, target):
        saved = self.hosts.directory / 'saved-again'
        self.cancel_save(source, saved)
        self.assertIn('VFS-C102', self.vfsctl(source, 'save', 'web', saved, '--dry-run', status=6).stdout)
        self.alive(source)
        events = self.events('save-event', self.vfsctl(source, 'save', 'web', saved, '--json'))
        self.assertEqual((events[0]['event'], events[-1]['event']), ('checked', 'done'))
        self.assertEqual((source.state('web'), self.daemons(source)), ('', []))
        self.write_store(target, here='/srv/missing')
        refused = self.vfsctl(target, 'restore', saved, status=4)
        self.assertIn("VFS-C020 share 'films': There is no '/srv/missing' on 'host-a'", refused.stdout)
        refused = self.vfsctl(target, 'restore', saved, '--force', status=1)
        self.assertIn("There is no '/srv/missing' on 'host-a'", refused.stderr)  # said by the hook
        target.write('/etc/vfskit/mappings.yaml', self.store())
        self.vfsctl(target, 'restore', saved, '--dry-run')
        self.assertEqual(target.state('web'), 'shut off')
        # From the node that has saved it, through the other one's libvirt.
        facts = self.facts_of(target)
        events = self.events('save-event', self.vfsctl(
            source, 'restore', saved, '--on', target.name, '--connect', target.uri, '--facts', facts, '--json'))
        self.assertEqual([event['event'] for event in events if event['event'] != 'warning'],
                         ['checked', 'planned', 'done'])
        target.shell.connect()
        own = [path.replace(self.there, '/srv/media') for path in self.sources(target)]
        self.assertEqual((self.sources(target), self.sources(target, '--inactive')), (own, own))
        refused = self.vfsctl(target, 'restore', saved, status=4)
        self.assertIn("'web' runs there already", refused.stderr)
        refused = self.vfsctl(target, 'save', 'web', saved, status=4)
        self.assertIn('is there already', refused.stderr)
        saved.unlink()
        self.alive(target)

    def cancel_save(self, host, saved):
        # What writes the file waits, so that there is something to cancel.
        helper = '/usr/lib/libvirt/libvirt_iohelper'
        host.run('cp', helper, '/run/iohelper')
        host.write('/run/wait', '')
        host.write('/run/waiting-iohelper',
                   '#!/bin/sh\nwhile [ -e /run/wait ]; do sleep 0.1; done\nexec /run/iohelper "$@"\n', 0o755)
        host.run('mount', '--bind', '/run/waiting-iohelper', helper)
        save = self.in_background(host, 'save', 'web', str(saved), '--json')
        seen = [json.loads(save.stdout.readline())['event'] for _ in ('checked', 'planned', 'progress')]
        self.tell(host, 'INT')
        time.sleep(1)  # vfsctl looks five times a second; too early only makes the test fail
        host.path('/run/wait').unlink()
        _, errors = save.communicate(timeout=60)
        host.run('umount', helper)
        self.assertEqual((seen, save.returncode), (['checked', 'planned', 'progress'], 1), errors)
        self.assertIn('It was cancelled, and the guest goes on here', errors)
        self.assertFalse(saved.exists())
        self.alive(host)

    def test_a_snapshot_with_memory_holds_the_guest_and_not_the_directory(self):
        self.start(MANAGED(binary=WRAPPER), PORTS)
        memory = self.hosts.directory / 'memory'
        self.a.virsh('snapshot-create-as', 'web', 'one', '--live', '--memspec', f'file={memory},snapshot=external')
        self.alive(self.a)
        refused = self.migrate(status=4)
        self.assertIn('VFS-C074', refused.stderr)
        self.a.virsh('snapshot-revert', 'web', 'one')
        self.a.shell.connect()
        self.assertEqual(self.sources(self.a), ['/srv/media'])
        # The guest is as it was, the file is not: it has grown since.
        self.assertIn('FAILED: the file has another size', self.stop_keeper(self.a))
        self.a.virsh('snapshot-delete', 'web', 'one')
        self.migrate()
        self.b.shell.connect()
        self.go_back_to_an_internal_snapshot(self.b)

    def go_back_to_an_internal_snapshot(self, host):
        disk = '/run/guest/disk.qcow2'
        host.run('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '1G')
        host.path(disk).chmod(0o666)
        host.virsh('attach-disk', 'web', disk, 'vda', '--subdriver', 'qcow2', '--live')
        host.shell.run('sleep 9999 </mnt/kept & echo $! >/tmp/holder; rm -f /mnt/since')
        host.virsh('snapshot-create-as', 'web', 'two')
        host.shell.run('kill $(cat /tmp/holder); echo since >/mnt/since')
        host.virsh('snapshot-revert', 'web', 'two')
        host.shell.connect()
        # The file is open again, and what the directory got since is there.
        begin = host.shell.run('head -c 16 /proc/$(cat /tmp/holder)/fd/0; cat /mnt/since').split()
        self.assertEqual(begin, [f'{0:015}', 'since'])
        self.assertEqual(self.sources(host), [self.there])


if __name__ == '__main__':
    unittest.main()

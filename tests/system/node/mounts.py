#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, /dev/fuse, loop devices. Mounts in a mount namespace of its own.
"""vfsctl node facts tells what real mounts are, and a filesystem that hangs does not hang it."""
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

VFSCTL = os.environ['VFSKIT_VFSCTL']
INSIDE = 'VFSKIT_TEST_IN_OWN_MOUNTS'
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=60)


class UnansweredFuse:
    """A FUSE filesystem whose server never says a word: whoever touches it waits."""

    def __init__(self, point: pathlib.Path):
        self.point = point
        self.fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        options = f'fd={self.fd},rootmode=40000,user_id=0,group_id=0'
        if LIBC.mount(b'silent', str(point).encode(), b'fuse', 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), 'mount')

    def close(self):
        os.close(self.fd)  # waiters get ENOTCONN
        subprocess.run(['umount', '-l', self.point], check=False, timeout=60)


class Mounts(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix='vfskit-node-')
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        self.paths = {}

    def directory(self, name):
        path = self.dir / name
        path.mkdir()
        self.paths[name] = path
        return path

    def mount(self, *words):
        run('mount', *words)
        self.addCleanup(run, 'umount', words[-1])

    def facts(self):
        nodes = ''.join(f'  {name}: {{nodes: {{n1: "{path}"}}}}\n' for name, path in self.paths.items())
        store = self.dir / 'mappings.yaml'
        store.write_text(f'version: 1\nmappings:\n{nodes}')
        begin = time.monotonic()
        done = subprocess.run([VFSCTL, 'node', 'facts', '--json', '--node', 'n1', '--store', f'yaml:{store}'],
                              text=True, capture_output=True, timeout=60)
        self.seconds = time.monotonic() - begin
        self.assertEqual(done.returncode, 0, done.stderr)
        return {path['dirid']: path for path in json.loads(done.stdout)['paths']}

    def test_tmpfs_is_told_from_the_directory_below_it(self):
        point = self.directory('data')
        before = self.facts()['data']
        self.mount('-t', 'tmpfs', '-o', 'size=1m,noatime', 'none', point)
        after = self.facts()['data']
        self.assertEqual((after['fs-type'], after['mount-point']), ('tmpfs', str(point)))
        self.assertIn('noatime', after['mount-options'])
        self.assertNotEqual((before['fs-id'], before['inode']), (after['fs-id'], after['inode']))
        self.assertLessEqual(after['free-bytes'], 1 << 20)

    def test_a_bind_mount_is_the_same_directory(self):
        source, point = self.directory('source'), self.directory('bound')
        other = self.directory('other')
        self.mount('--bind', source, point)
        facts = self.facts()
        same = ('root-handle', 'fs-id', 'inode', 'device-major', 'device-minor')
        self.assertEqual([facts['source'][key] for key in same], [facts['bound'][key] for key in same])
        self.assertNotEqual(facts['source']['root-handle'], facts['other']['root-handle'], other)
        self.assertEqual(facts['bound']['mount-point'], str(point))

    def test_a_filesystem_on_a_loop_device_opens_its_handles_and_is_readonly(self):
        image, point = self.dir / 'image', self.directory('disk')
        with image.open('wb') as file:
            file.truncate(16 << 20)
        run('mkfs.ext4', '-q', image)
        self.mount('-o', 'loop,ro', image, point)
        disk = self.facts()['disk']
        self.assertEqual((disk['fs-type'], disk['inode'], disk['is-readonly']), ('ext4', 2, True))
        self.assertTrue(disk['open-by-handle-works'])
        self.assertTrue(disk['supports-xattr'])
        self.assertEqual(disk['fs-magic'], '000000000000ef53')

    def test_submounts_are_listed(self):
        top = self.directory('top')
        (top / 'a b').mkdir()
        self.mount('-t', 'tmpfs', 'none', top / 'a b')
        self.assertEqual(self.facts()['top']['submounts'], [{'path': 'a b', 'fs-type': 'tmpfs'}])

    def test_a_filesystem_that_hangs_is_told_and_holds_nobody(self):
        self.directory('fine')
        point = self.directory('hung')
        fuse = UnansweredFuse(point)
        self.addCleanup(fuse.close)
        # A second path on it is not waited for again.
        self.paths['below'] = point / 'below'
        facts = self.facts()
        self.assertLess(self.seconds, 20)
        for name in ('hung', 'below'):
            self.assertEqual(facts[name]['state'], 'timed-out')
            self.assertNotIn('exists', facts[name])
            self.assertEqual(facts[name]['fs-type'], 'fuse')
        self.assertEqual((facts['fine']['state'], facts['fine']['exists']), ('answered', True))

    def test_a_mount_that_fstab_promises_and_nobody_made_is_told(self):
        point = self.directory('promised')
        fstab = self.dir / 'fstab'
        fstab.write_text(f'filer:/x {point} nfs4 noauto 0 0\n')
        etc = pathlib.Path('/etc/fstab')
        if not etc.exists():
            self.fail('/etc/fstab is missing, so nothing can be put over it')
        self.mount('--bind', fstab, etc)
        before = self.facts()['promised']
        self.assertEqual((before['expected-mount-point'], before['is-expected-mount'], before['is-empty']),
                         (str(point), False, True))
        self.mount('-t', 'tmpfs', 'none', point)
        self.assertTrue(self.facts()['promised']['is-expected-mount'])


if __name__ == '__main__':
    if INSIDE not in os.environ:
        os.environ[INSIDE] = '1'
        os.execvp('unshare', ['unshare', '--mount', '--propagation', 'private', sys.executable, *sys.argv])
    unittest.main(verbosity=2)

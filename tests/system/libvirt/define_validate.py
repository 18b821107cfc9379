#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, libvirtd and virtlogd with the qemu driver, virsh, qemu-system-x86_64.
"""A real libvirtd judges the golden domains as we do.

The libvirtd is a private one: it and its QEMUs live in mount, network and process namespaces of their own,
so that neither the machine's libvirt nor its files are touched, and everything ends with the test.

Of tests/golden/domain, for a VERSION that the libvirt here has reached:
  domain-VERSION-*.xml        is defined with VIR_DOMAIN_DEFINE_VALIDATE, and keeps our metadata
  refused-VERSION-*.xml       is refused when defined
  refused-only-VERSION-*.xml  is refused by libvirts that lack the element, defined by those that have it
  start-VERSION-*.xml         is defined, and refused when started
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / 'golden/domain'
PRIVATE_DIRS = ('/run', '/etc/libvirt', '/var/lib/libvirt', '/var/log/libvirt', '/var/cache/libvirt')
PROGRAMS = ('unshare', 'libvirtd', 'virtlogd', 'virsh', 'qemu-system-x86_64')
SOCKET = '/run/vfskit/media.sock'
DAEMON = '/run/vfskit/virtiofsd'
INSIDE = 'VFSKIT_INSIDE_NAMESPACES'
START_TIMEOUT = 30  # seconds; libvirtd probes QEMU's capabilities on its first connection

# What libvirt or QEMU says when a domain is started that we refuse beforehand.
START_REASONS = {
    'queue-1000': 'must be a power of 2',
    'queue-2048': 'must be 1024 or smaller',
    'tag-37': 'must be 36 bytes or less',
    '9p-tag-32': 'is longer than maximum',
    'missing-directory': 'does not exist',
    'lock': 'locking options are not supported by this virtiofsd',
}
KNOWN_SINCE = {'openfiles': (10, 6, 0), 'readonly': (11, 0, 0)}


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check and result.returncode != 0:
        raise AssertionError(f'{" ".join(command)}: status {result.returncode}\n{result.stderr}')
    return result


def virsh(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    return run('virsh', '-q', '-c', 'qemu:///system', *arguments, check=check)


def version_of(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.search(r'-(\d+\.\d+\.\d+)-', name).group(1).split('.'))


def subject_of(path: pathlib.Path) -> str:
    return re.search(r'-\d+\.\d+\.\d+-(.*)\.xml$', path.name).group(1)


class Host:
    """The private libvirtd. Ends with the process namespace that it runs in."""

    def __init__(self):
        for directory in PRIVATE_DIRS:
            os.makedirs(directory, exist_ok=True)
            run('mount', '-t', 'tmpfs', 'tmpfs', directory)
        run('umount', '-l', '/sys/fs/cgroup', check=False)
        run('ip', 'link', 'set', 'lo', 'up', check=False)
        self.mask_kvm()
        for directory in ('/run/lock', '/run/vfskit', '/var/log/libvirt/qemu', '/etc/libvirt/qemu'):
            os.makedirs(directory)
        pathlib.Path('/etc/libvirt/libvirtd.conf').write_text(
            'auth_unix_rw = "none"\nhost_uuid = "5f1f9f6e-53a1-4c0b-8a67-0a6f6a2d2cff"\n')
        pathlib.Path('/etc/libvirt/qemu.conf').write_text(
            'user = "nobody"\ngroup = "nogroup"\nsecurity_driver = "none"\nnamespaces = []\n'
            'remember_owner = 0\ncgroup_controllers = []\n')
        self.offer_virtiofsd()
        run('virtlogd', '-d')
        run('libvirtd', '-d')
        self.wait()
        self.version = self.find_version()

    @staticmethod
    def mask_kvm():
        # A /dev/kvm that QEMU's user can open but that does not work makes libvirt probe QEMU anew on each
        # call, seconds every time. So nobody may open it, and QEMU does not run as root.
        if os.path.exists('/dev/kvm'):
            unusable = pathlib.Path('/run/no-kvm')
            unusable.touch(mode=0)
            run('mount', '--bind', str(unusable), '/dev/kvm')

    @staticmethod
    def offer_virtiofsd():
        """The <binary> of a golden file: says what it can do, and that is all it is asked here."""
        script = pathlib.Path(DAEMON)
        script.write_text('#!/bin/sh\necho \'{"type": "fs", "features": ["migrate-precopy", '
                          '"separate-options"]}\'\n')
        script.chmod(0o755)

    @staticmethod
    def wait():
        end = time.monotonic() + START_TIMEOUT
        while True:
            answer = virsh('uri', check=False)
            if answer.returncode == 0:
                return
            if time.monotonic() > end:
                log = run('journalctl', '-n', '20', check=False).stdout
                raise AssertionError(f'libvirtd does not answer: {answer.stderr}{log}')
            time.sleep(0.2)

    @staticmethod
    def find_version() -> tuple[int, ...]:
        text = virsh('version', '--daemon').stdout
        return tuple(int(part) for part in
                     re.search(r'daemon: (\d+)\.(\d+)\.(\d+)', text, re.IGNORECASE).groups())


class DefineValidate(unittest.TestCase):
    host: Host

    @classmethod
    def setUpClass(cls):
        cls.host = Host()
        print('libvirt', '.'.join(map(str, cls.host.version)), file=sys.stderr)

    def golden(self, kind: str) -> list[pathlib.Path]:
        """The files of `kind` that this libvirt is new enough for; never none."""
        files = [path for path in sorted(GOLDEN.glob(f'{kind}-[0-9]*.xml'))
                 if version_of(path.name) <= self.host.version]
        self.assertTrue(files, f'no golden file {kind}-*.xml')
        return files

    def define(self, path: pathlib.Path) -> subprocess.CompletedProcess:
        return virsh('define', '--validate', str(path), check=False)

    def name_of(self, path: pathlib.Path) -> str:
        return ElementTree.parse(path).getroot().findtext('name')

    def undefine(self, path: pathlib.Path):
        virsh('undefine', self.name_of(path))

    def test_defines_every_golden_domain(self):
        for path in self.golden('domain'):
            with self.subTest(path.name):
                defined = self.define(path)
                self.assertEqual(defined.returncode, 0, defined.stderr)
                stored = ElementTree.fromstring(virsh('dumpxml', '--inactive', self.name_of(path)).stdout)
                record = stored.find('metadata/{urn:vfskit:domain:1}shares/{urn:vfskit:domain:1}share')
                self.assertIsNotNone(record)
                self.assertEqual(record.get('dirid'), 'media')
                self.undefine(path)

    def test_refuses_what_we_refuse(self):
        for path in self.golden('refused'):
            with self.subTest(path.name):
                defined = self.define(path)
                print(f'{path.name}: {defined.stderr.strip()}', file=sys.stderr)
                self.assertNotEqual(defined.returncode, 0)

    def test_refuses_elements_only_while_it_lacks_them(self):
        for path in self.golden('refused-only'):
            with self.subTest(path.name):
                defined = self.define(path)
                known = self.host.version >= KNOWN_SINCE[subject_of(path)]
                self.assertEqual(defined.returncode == 0, known, defined.stderr)
                if known:
                    self.undefine(path)

    def test_refuses_at_start_what_we_refuse_before(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(SOCKET)
            os.chmod(SOCKET, 0o777)
            listener.listen()
            for path in self.golden('start'):
                with self.subTest(path.name):
                    defined = self.define(path)
                    self.assertEqual(defined.returncode, 0, defined.stderr)
                    started = virsh('start', self.name_of(path), check=False)
                    self.undefine(path)
                    print(f'{path.name}: {started.stderr.strip()}', file=sys.stderr)
                    self.assertNotEqual(started.returncode, 0)
                    self.assertIn(START_REASONS[subject_of(path)], started.stderr)


def main():
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0:
        missing.append('root')
    if missing:
        sys.exit(f'{pathlib.Path(__file__).name} needs {", ".join(missing)}: run tools/install-deps test as root')
    if INSIDE not in os.environ:
        # A shell is process 1, because it buries the orphans there: libvirtd waits until its QEMUs, which
        # daemonise, are gone, and Python would leave them as zombies.
        command = ['unshare', '--mount', '--net', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc',
                   '--propagation', 'private', 'sh', '-c', '"$@"; exit $?', 'sh', sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, INSIDE: '1'})
    unittest.main()


if __name__ == '__main__':
    main()

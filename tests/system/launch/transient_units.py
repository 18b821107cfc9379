#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: root, control groups, systemd-nspawn, debootstrap on first use, loop devices, mkfs.ext4.
"""A real systemd keeps the daemons of shares: started over D-Bus, shut in, limited, ended, mended."""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from systemd_container import SystemdContainer, run  # noqa: E402

VIRTIOFSD = os.environ['VFSKIT_VIRTIOFSD']
VFSCTL = os.environ['VFSKIT_VFSCTL']
UNITS = pathlib.Path(os.environ['VFSKIT_UNITS'])
STORE = '/srv/mappings.yaml'
LIMIT = 4 << 20  # bytes per second
SIZE = 12 << 20  # bytes read under the limit


class Disk:
    """An ext4 of its own on a loop device: what io.max counts is a block device."""

    def __init__(self, directory: pathlib.Path):
        image = directory / 'disk'
        with open(image, 'wb') as file:
            file.truncate(128 << 20)
        run('mkfs.ext4', '-q', image)
        self.device = run('losetup', '--find', '--show', image).stdout.strip()
        self.mount = directory / 'share'
        self.mount.mkdir()
        run('mount', self.device, self.mount)

    def close(self):
        run('umount', '-l', self.mount, check=False)
        run('losetup', '-d', self.device, check=False)


class TransientUnits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-launch-'))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.disk = Disk(cls.directory)
        cls.addClassCleanup(cls.disk.close)
        (cls.disk.mount / 'file').write_bytes(os.urandom(SIZE))
        run('sync')
        cls.systemd = SystemdContainer([VFSCTL, VIRTIOFSD], [f'{cls.disk.mount}:/srv/share'])
        cls.addClassCleanup(cls.systemd.close)
        cls.systemd.path(STORE).write_text(
            'version: 1\nmappings:\n  media:\n    live-migration-method: find-paths\n'
            '    nodes: {n1: /srv/share}\n  ram:\n    nodes: {n1: /run}\n')

    def tearDown(self):
        self.vfsctl('daemon', 'stop', '--all')

    def vfsctl(self, *words, status=0):
        done = self.systemd.run(VFSCTL, *words, check=False, env=(f'VFSKIT_STORE=yaml:{STORE}',))
        self.assertEqual(done.returncode, status, f'{words}: {done.stdout}{done.stderr}')
        return done

    def start(self, *words, mapping='media', vm='web', **options):
        return self.vfsctl('daemon', 'start', mapping, '--vm', vm, '--node', 'n1', '--binary', VIRTIOFSD,
                           *words, **options)

    def daemons(self):
        return json.loads(self.vfsctl('daemon', 'list', '--json').stdout)['daemons']

    def properties(self, *names, unit='vfskit-virtiofsd-web-media.service'):
        output = self.systemd.run('systemctl', 'show', unit, *(f'--property={name}' for name in names)).stdout
        return dict(line.split('=', 1) for line in output.splitlines())

    def wait_for(self, claim, what, timeout=20):
        deadline = time.monotonic() + timeout
        while not claim():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)

    def connect(self, vm='web', tag='media'):
        front_end = socket.socket(socket.AF_UNIX)
        front_end.connect(str(self.systemd.path(f'/run/vfskit/{vm}/{tag}.sock')))
        return front_end

    def files(self):
        return sorted(str(path) for path in self.systemd.path('/run/vfskit').rglob('*'))

    def test_a_daemon_is_a_unit_in_its_slice(self):
        record = json.loads(self.start('--json').stdout)
        self.assertEqual(record['keeper'], 'systemd')
        self.assertEqual(record['unit'], 'vfskit-virtiofsd-web-media.service')
        shown = self.properties('ActiveState', 'Slice', 'MainPID', 'ControlGroup')
        self.assertEqual((shown['ActiveState'], shown['Slice']), ('active', 'vfskit.slice'))
        self.assertEqual(int(shown['MainPID']), record['pid'])
        self.assertTrue(shown['ControlGroup'].startswith('/vfskit.slice/'))
        self.assertEqual([each['state'] for each in self.daemons()], ['waiting'])

    def test_the_socket_unit_starts_it_for_each_front_end(self):
        for name in ('vfskit-virtiofsd@.socket', 'vfskit-virtiofsd@.service'):
            text = re.sub('^ExecStart=[^ ]*', f'ExecStart={VIRTIOFSD}', (UNITS / name).read_text(), flags=re.M)
            self.systemd.path(f'/etc/systemd/system/{name}').write_text(text)
        settings = self.systemd.path('/etc/vfskit/virtiofsd')
        settings.mkdir(parents=True)
        (settings / 'films.conf').write_text('SHARED_DIR=/srv/share\nOPTIONS=--xattr --cache=auto\n')
        self.systemd.run('groupadd', '--system', '--force', 'kvm')
        self.systemd.run('systemctl', 'daemon-reload')
        self.systemd.run('systemctl', 'start', 'vfskit-virtiofsd@films.socket')
        path = self.systemd.path('/run/vfskit/films.sock')
        service = {'unit': 'vfskit-virtiofsd@films.service'}
        self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        for _ in range(2):
            self.assertEqual(self.properties('ActiveState', **service), {'ActiveState': 'inactive'})
            with socket.socket(socket.AF_UNIX) as front_end:
                front_end.settimeout(20)
                front_end.connect(str(path))
                get_features = struct.pack('<III', 1, 1, 0)
                front_end.sendall(get_features)
                self.assertEqual(struct.unpack('<IIIQ', front_end.recv(20))[0], 1)
            self.wait_for(lambda: self.properties('ActiveState', **service)['ActiveState'] == 'inactive',
                          'the daemon does not end with its front-end')
            self.assertEqual(self.properties('Result', 'ExecMainStatus', **service),
                             {'Result': 'success', 'ExecMainStatus': '0'})
        self.systemd.run('systemctl', 'stop', 'vfskit-virtiofsd@films.socket')
        self.assertFalse(path.exists())

    def test_it_may_write_to_the_share_only(self):
        # Without virtiofsd's own walls, which would hide the unit's.
        pid = json.loads(self.start('--sandbox', 'none', '--json').stdout)['pid']
        attempts = 'for place in /srv/share /run/vfskit/web /etc /home /root /run /srv /var; do ' \
                   'touch $place/probe 2>/dev/null && { rm -f $place/probe; echo $place; }; done; true'
        inside = run('nsenter', f'--target={self.host_pid(pid)}', '--mount', '--root', '--wd=/', '--', 'sh', '-c',
                     attempts)
        self.assertEqual(inside.stdout.split(), ['/srv/share', '/run/vfskit/web'])
        capabilities = self.systemd.run('grep', 'CapBnd', f'/proc/{pid}/status').stdout.split()[1]
        self.assertEqual(int(capabilities, 16) & (1 << 19), 0, 'CAP_SYS_PTRACE')
        self.assertEqual(int(capabilities, 16) & (1 << 12), 0, 'CAP_NET_ADMIN')

    def test_it_logs_to_the_journal(self):
        self.start('--log-level', 'debug')
        journal = self.systemd.run('journalctl', '--no-pager', '-q', '-u', 'vfskit-virtiofsd-web-media')
        self.assertIn('virtiofsd', journal.stdout)

    def test_it_ends_with_its_front_end_and_leaves_nothing(self):
        self.start()
        with self.connect():
            self.wait_for(lambda: [each['state'] for each in self.daemons()] == ['connected'],
                          'the daemon does not see its front-end')
            self.assertIn('in use', self.start('--replace-waiting', status=1).stderr)
        self.wait_for(lambda: self.daemons() == [], 'the daemon does not end')
        self.wait_for(lambda: [each for each in self.files() if not each.endswith('/web')] == [],
                      'files are left')
        self.start()

    def test_a_killed_one_leaves_nothing(self):
        pid = json.loads(self.start('--json').stdout)['pid']
        self.systemd.run('sh', '-c', f'kill -KILL {pid}')
        self.wait_for(lambda: self.daemons() == [], 'the dead daemon is still listed')
        self.assertEqual(self.properties('LoadState')['LoadState'], 'not-found')
        self.start()

    def test_one_that_restarts_listens_again(self):
        pid = json.loads(self.start('--restart', 'on-failure', '--json').stdout)['pid']
        self.systemd.run('sh', '-c', f'kill -KILL {pid}')
        self.wait_for(lambda: [(each['state'], each['pid'] != pid) for each in self.daemons()
                               if 'pid' in each] == [('waiting', True)], 'it does not come back')

    def test_a_second_start_is_refused(self):
        self.start()
        refused = self.start(status=1)
        self.assertIn('is in use', refused.stderr)
        self.assertIn('vfsctl daemon stop web media', refused.stderr)

    def test_what_kept_it_from_starting_is_told(self):
        failed = self.start('--socket-group', 'nobodies', status=1)
        self.assertRegex(failed.stderr, "ended before it listened.*it said: .*group name 'nobodies'")
        self.assertEqual(self.daemons(), [])
        self.assertEqual(self.files(), [])

    def test_stop_ends_the_unit(self):
        self.start()
        self.start('--tag', 'a-b')
        self.vfsctl('daemon', 'stop', 'web')
        self.assertEqual(self.daemons(), [])
        self.assertEqual(self.files(), [])
        units = self.systemd.run('systemctl', 'list-units', '--all', '--no-legend', 'vfskit-virtiofsd-*')
        self.assertEqual(units.stdout, '')

    def test_limits_reach_systemd(self):
        self.start('--read-limit', '4M', '--write-iops', '100', '--cpu-limit', '20', '--memory-limit', '64M')
        shown = self.properties('IOReadBandwidthMax', 'IOWriteIOPSMax', 'CPUQuotaPerSecUSec', 'MemoryMax')
        self.assertEqual(shown['IOReadBandwidthMax'], f'/srv/share {LIMIT}')
        self.assertEqual(shown['IOWriteIOPSMax'], '/srv/share 100')
        self.assertEqual(shown['CPUQuotaPerSecUSec'], '200ms')
        self.assertEqual(shown['MemoryMax'], str(64 << 20))

    def test_io_without_a_device_cannot_be_limited(self):
        refused = self.start('--read-limit', '4M', mapping='ram', status=4)
        self.assertIn('--io-device', refused.stderr)

    def join(self, pid):
        """Puts this process's child where the daemon is, in every hierarchy."""
        for line in open(f'/proc/{self.host_pid(pid)}/cgroup'):
            _, controllers, path = line.strip().split(':', 2)
            for mount in open('/proc/mounts'):
                words = mount.split()
                if words[2] == 'cgroup2' and controllers == '' or \
                        words[2] == 'cgroup' and controllers in words[3].split(','):
                    place = pathlib.Path(words[1] + path) / 'cgroup.procs'
                    if place.exists():
                        place.write_text('0')

    def host_pid(self, pid):
        """The number that the container's process has here."""
        for status in pathlib.Path('/proc').glob('[0-9]*/status'):
            try:
                text = status.read_text()
            except OSError:
                continue
            if re.search(rf'^NSpid:.*\s{pid}$', text, re.MULTILINE) and \
                    os.readlink(status.parent / 'ns/pid') == os.readlink(f'/proc/{self.systemd.init}/ns/pid'):
                return int(status.parent.name)
        raise AssertionError(f'process {pid} of the container is not to be seen')

    def read_time(self, pid):
        """Seconds that the file takes from the device, in the daemon's control group."""
        begin = time.monotonic()
        subprocess.run(['dd', f'if={self.disk.mount}/file', 'of=/dev/null', 'bs=1M', 'iflag=direct'],
                       preexec_fn=lambda: self.join(pid), check=True, capture_output=True, timeout=120)
        return time.monotonic() - begin

    def test_the_kernel_keeps_the_limit_of_reads(self):
        free = json.loads(self.start('--json').stdout)['pid']
        unlimited = self.read_time(free)
        self.vfsctl('daemon', 'stop', 'web')
        held = json.loads(self.start('--read-limit', '4M', '--json').stdout)['pid']
        limited = self.read_time(held)
        print(f'{SIZE >> 20} MiB: {unlimited:.2f} s without, {limited:.2f} s with {LIMIT >> 20} MiB/s', flush=True)
        self.assertLess(unlimited, SIZE / LIMIT / 2)
        self.assertGreater(limited, SIZE / LIMIT * 0.7)

    def test_the_kernel_keeps_the_limit_of_the_cpu(self):
        pid = json.loads(self.start('--cpu-limit', '20', '--json').stdout)['pid']
        used = subprocess.run(
            [sys.executable, '-c', 'import time\nend = time.monotonic() + 3\n'
             'while time.monotonic() < end: pass\nprint(time.process_time())'],
            preexec_fn=lambda: self.join(pid), check=True, capture_output=True, text=True, timeout=60)
        print(f'{float(used.stdout):.2f} s of 3 s with a limit of 20 %', flush=True)
        self.assertLess(float(used.stdout), 3 * 0.35)


if __name__ == '__main__':
    unittest.main()

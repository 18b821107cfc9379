#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The migration check is right under libvirt, too: `vfsctl check DOMAIN --to NODE` asks the real libvirtd for the
domain and the other node for its facts over a real ssh, and a real migration then does what it said.
docs/check-matrix.md has the table, and this test compares it with what it sees.

    under_libvirt.py [GROUP...]     those of ORDINARY without an argument

Needs: root, libvirtd and virtlogd with the qemu driver (10.5 or later), virsh, qemu-system-x86_64, ip, sshd.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import vm
from check_matrix import Matrix, Outcome, Prediction, read_prediction
from libvirt_hosts import Host, Hosts, domain_xml, shares_metadata, unpack_old_libvirt

VIRTIOFSD = os.environ['VFSKIT_VIRTIOFSD']
VFSCTL = os.environ['VFSKIT_VFSCTL']
HOOK = os.environ['VFSKIT_HOOK']
WRAPPER = os.environ['VFSKIT_WRAPPER']
KEEPER = os.environ['VFSKIT_KEEPER']
HOOK_PATH = '/etc/libvirt/hooks/qemu.d/vfskit'
PATHS = {'host-a': '/srv/media', 'host-b': '/srv/there'}
MANAGED = '''<filesystem type='mount' accessmode='passthrough'>
  <driver type='virtiofs' queue='1024'/><binary path='{binary}'/>
  <source dir='/srv/media'/><target dir='media'/></filesystem>'''
KEPT = '''<filesystem type='mount'>
  <driver type='virtiofs' queue='1024'/>
  <source socket='/run/vfskit/web/media.sock'/><target dir='media'/></filesystem>'''
NINEP = '''<filesystem type='mount' multidevs='warn'><driver type='path'/>
  <source dir='/srv/media'/><target dir='old'/></filesystem>'''


class SshServer:
    """A real sshd of one host with keys of its own, which root of the other host may use."""

    def __init__(self, server: Host, client: Host, directory: pathlib.Path):
        self.server = server
        for name in ('host-key', 'key'):
            if not (directory / name).exists():
                subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', directory / name], check=True)
        known = (directory / 'host-key.pub').read_text().split()
        (directory / 'known').write_text(f'node {known[0]} {known[1]}\n')
        server.path('/run/sshd').mkdir(exist_ok=True)
        server.path('/run/bin').mkdir()
        server.path('/run/bin/vfsctl').symlink_to(VFSCTL)
        server.write('/run/sshd_config', f'''ListenAddress {server.address}
            HostKey {directory}/host-key
            AuthorizedKeysFile {directory}/key.pub
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            SetEnv PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin
            PidFile /run/sshd.pid
            ''')
        client.write('/run/ssh/ssh_config', f'''Host {server.name}
            HostName {server.address}
            User root
            IdentityFile {directory}/key
            UserKnownHostsFile {directory}/known
            HostKeyAlias node
            ''')
        client.run('mount', '--bind', '/run/ssh', '/etc/ssh')
        self.start()

    def start(self):
        self.server.run('/usr/sbin/sshd', '-f', '/run/sshd_config')

    def stop(self):
        self.server.run('sh', '-c', 'kill $(cat /run/sshd.pid)')


@dataclasses.dataclass
class Setup:
    name: str
    launch: str = 'managed'
    words: tuple[str, ...] = ()    # for vfsctl check
    virsh: tuple[str, ...] = ()    # for virsh migrate
    consequence: object = None


class Tour:
    def __init__(self, hosts: Hosts, image: pathlib.Path, matrix: Matrix):
        self.hosts, self.image, self.matrix = hosts, image, matrix
        self.here, self.there = hosts.both()
        self.launch = ''

    def start(self, launch: str, filesystem: str, kernel: pathlib.Path | None = None):
        """A new guest at host-a."""
        self.end()
        self.here, self.there = self.hosts.both()
        self.launch = launch
        self.here.define(domain_xml('web', self.image, filesystem, shares_metadata(media='media'), kernel))
        self.here.virsh('start', 'web')
        self.here.shell.connect(waits_for_boot=True)
        self.here.shell.run('mount -t virtiofs media /mnt')
        self.here.shell.run('keeper /mnt/kept /tmp/stop >/tmp/keeper.log 2>&1 & echo $! >/tmp/keeper.pid')

    def end(self):
        for host in self.hosts.both():
            host.virsh('destroy', 'web', check=False)
            host.virsh('undefine', 'web', '--managed-save', '--snapshots-metadata', check=False)
        (self.hosts.directory / 'share/kept').unlink(missing_ok=True)

    def predict(self, setup: Setup) -> Prediction:
        done = self.here.run(VFSCTL, 'check', 'web', '--to', self.there.name, '--json', *setup.words, check=False)
        assert done.returncode in (0, 6, 7), done.stderr
        origins = {each['node']: each.get('origin', each.get('problem')) for each in json.loads(done.stdout)['facts']}
        assert origins[self.here.name] == 'here' and 'over ssh' in origins[self.there.name], origins
        return read_prediction(done.stdout)

    def try_out(self, setup: Setup) -> subprocess.CompletedProcess:
        started = time.monotonic()
        prediction = self.predict(setup)
        done = self.here.migrate('web', self.there, *setup.virsh, check=False)
        outcome = self.judge(setup, done)
        self.matrix.add(self.launch, setup.name, prediction, outcome, time.monotonic() - started)
        return done

    def judge(self, setup: Setup, done: subprocess.CompletedProcess) -> Outcome:
        if done.returncode != 0:
            if self.here.state('web') != 'running':
                return Outcome('lost', 'the guest ends with its QEMU')
            self.is_alive(self.here)
            hook = 'the hook refuses' if 'vfskit: domain' in done.stderr else 'libvirt or QEMU refuses'
            return Outcome('stays', hook)
        self.here, self.there = self.there, self.here
        self.is_alive(self.here)
        return Outcome('less', setup.consequence(self)) if setup.consequence else Outcome('moves')

    @staticmethod
    def is_alive(host: Host):
        host.shell.run('sleep 0.3; kill -0 $(cat /tmp/keeper.pid) || { cat /tmp/keeper.log; exit 1; }')

    def go_back(self):
        self.here.migrate('web', self.there)
        self.here, self.there = self.there, self.here

    def nothing_was_lost(self):
        shell = self.here.shell
        shell.run('touch /tmp/stop; while kill -0 $(cat /tmp/keeper.pid) 2>/dev/null; do sleep 0.1; done; sync')
        word, count = shell.run('cat /tmp/keeper.log').split()[:2]
        content = ''.join(f'{number:015}\n' for number in range(int(count)))
        assert word == 'kept' and (self.hosts.directory / 'share/kept').read_text() == content


def mappings(host_b: str | None = '/srv/there', method: str = 'find-paths') -> str:
    line = f'    live-migration-method: {method}\n' if method else ''
    b = f', host-b: {host_b}' if host_b else ''
    return (f'version: 1\nmappings:\n  media:\n{line}    path-relation: same-directory\n'
            f'    nodes: {{host-a: /srv/media{b}}}\n')


@contextlib.contextmanager
def put_mappings(hosts: Hosts, text: str):
    """Other mappings for one set-up."""
    for host in hosts.both():
        host.write('/etc/vfskit/mappings.yaml', text)
    yield
    for host in hosts.both():
        host.write('/etc/vfskit/mappings.yaml', mappings())


def stored_source(tour: Tour) -> str:
    domain = ElementTree.fromstring(tour.here.virsh('dumpxml', 'web', '--inactive').stdout)
    stored = domain.find('devices/filesystem/source').get('dir')
    assert stored == PATHS[tour.there.name], stored
    tour.here.virsh('undefine', 'web')
    return "the source's path is stored"


def managed(tour: Tour):
    """Daemons that libvirt starts; the hosts have the directory and virtiofsd at different places."""
    hosts, (a, b) = tour.hosts, tour.hosts.both()
    tour.start('libvirt starts the daemon', MANAGED.format(binary='/run/of-host-a/virtiofsd'))
    with hook_away(b):
        tour.try_out(Setup('no hook, other paths'))
        with put_mappings(hosts, mappings('/srv/media')):
            tour.try_out(Setup('no hook, one path, the binary is missing there'))
    tour.try_out(Setup('the hook came after libvirtd started'))
    b.restart_libvirtd()
    tour.try_out(Setup('the hook, other paths, another binary'))
    tour.go_back()
    tour.try_out(Setup('the hook, --persistent', words=('--persistent',), virsh=('--persistent',),
                       consequence=stored_source))
    tour.go_back()
    tour.try_out(Setup('post-copy', words=('--post-copy',), virsh=('--postcopy', '--postcopy-after-precopy')))
    with put_mappings(hosts, mappings('/srv/nowhere')):
        tour.try_out(Setup('the hook, no such directory'))
    with put_mappings(hosts, mappings(None)):
        tour.try_out(Setup('the hook, no path for the target'))
    with put_mappings(hosts, mappings(method='')):
        tour.try_out(Setup('the hook, a mapping without a method'))
    a.virsh('snapshot-create-as', 'web', 'one', '--memspec', '/run/guest/one,snapshot=external')
    tour.try_out(Setup('a snapshot'))
    a.virsh('snapshot-delete', 'web', 'one', '--metadata')
    with hook_away(b), put_mappings(hosts, mappings('/srv/media')):
        tour.try_out(Setup('no hook, one path, one binary'))
        tour.go_back()
    b.restart_libvirtd()
    a.restart_libvirtd()
    tour.try_out(Setup('libvirtd was restarted since the guest started'))
    tour.nothing_was_lost()
    kill_the_daemon(tour, 'kill -9 $(cat /run/libvirt/qemu/*-web-fs0-fs.pid)')


def kept(tour: Tour):
    """Daemons that vfskit's hook starts beside libvirt."""
    a, b = tour.hosts.both()
    tour.start('vfskit starts the daemon', KEPT)
    tour.try_out(Setup('the hook, other paths, another binary'))
    tour.go_back()
    a.restart_libvirtd()
    tour.try_out(Setup('libvirtd was restarted since the guest started'))
    tour.go_back()
    with hook_away(b):
        tour.try_out(Setup('no hook'))
    b.restart_libvirtd()
    tour.nothing_was_lost()
    kill_the_daemon(tour, """kill -9 $(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' /run/vfskit/web/media.json)""")


def old(tour: Tour):
    """Debian 12's libvirt 9.0 on host-b."""
    tour.start('vfskit starts the daemon', KEPT)
    tour.there.use_libvirt_of(unpack_old_libvirt())
    tour.try_out(Setup('libvirt 9.0 there', consequence=must_stay))
    tour.try_out(Setup('libvirt 9.0 here'))
    tour.nothing_was_lost()
    tour.end()
    tour.hosts.b.use_own_libvirt()


def must_stay(tour: Tour) -> str:
    refused = tour.here.migrate('web', tour.there, check=False)
    assert 'migration with virtiofs device is not supported' in refused.stderr, refused
    return 'it cannot come back'


def ninep(tour: Tour):
    """The guest has the directory as a 9p export, too."""
    kernel, _ = vm.ninep_kernel(tour.hosts.directory)
    tour.start('libvirt starts the daemon', MANAGED.format(binary='/run/of-host-a/virtiofsd') + NINEP, kernel)
    tour.here.shell.run(vm.mount_ninep('old', '/old'))
    tour.try_out(Setup('a 9p export is mounted'))
    tour.here.shell.run('umount /old')
    tour.try_out(Setup('a 9p export that is not mounted'))
    tour.here.shell.run(f'{vm.mount_ninep("old", "/old")}; ls /old/kept; umount /old')
    tour.go_back()
    for name in ('one', 'two'):
        (tour.hosts.directory / 'share' / name).mkdir()
        for host in tour.hosts.both():
            host.run('mount', '-t', 'tmpfs', name, f'/srv/media/{name}')
    tour.try_out(Setup("a 9p export of two filesystems, multidevs='warn'", consequence=numbers_are_shared))
    tour.nothing_was_lost()


def numbers_are_shared(tour: Tour) -> str:
    numbers = tour.here.shell.run(f'{vm.mount_ninep("old", "/old")}; stat -c %d:%i /old/one /old/two').split()
    assert len(numbers) == 2 and numbers[0] == numbers[1], numbers
    return 'two directories have one inode number'


@contextlib.contextmanager
def hook_away(host: Host):
    """libvirtd starts without a hook there; afterwards the hook is there, and libvirtd has not seen it."""
    hook, away = host.path(HOOK_PATH), host.path('/run/hook')
    shutil.copy(hook, away)
    hook.unlink()
    host.restart_libvirtd()
    yield
    shutil.copy(away, hook)


def kill_the_daemon(tour: Tour, script: str):
    """The last of a guest's set-ups."""
    tour.here.run('sh', '-c', script)
    prediction = tour.predict(Setup(''))
    done = tour.here.migrate('web', tour.there, check=False)
    assert done.returncode != 0, done.stdout
    # QEMU 10.0 loses the guest, later ones keep it at the source, without its share.
    tour.matrix.add(tour.launch, 'the daemon is dead', prediction, Outcome('lost', 'the guest, or its share'))


def ssh_is_needed(hosts: Hosts, ssh: SshServer):
    """A node that cannot be asked is a blocker, and the finding says what ssh said."""
    ssh.stop()
    done = hosts.a.run(VFSCTL, 'check', 'web', '--to', 'host-b', '--json', check=False)
    facts = {each['node']: each for each in json.loads(done.stdout)['facts']}
    assert done.returncode == 7 and 'Connection refused' in facts['host-b']['problem'], done.stdout
    assert 'VFS-C002' in read_prediction(done.stdout).codes
    ssh.start()


GROUPS = {'managed': managed, 'kept': kept, 'old': old, 'ninep': ninep}
ORDINARY = ('managed', 'kept')


def main():
    groups = sys.argv[1:] or ORDINARY
    with Hosts() as hosts:
        share = hosts.directory / 'share'
        share.mkdir()
        for host in hosts.both():
            daemon = f'/run/of-{host.name}/virtiofsd'
            host.write(daemon, '')
            shutil.copy(VIRTIOFSD, host.path(daemon))
            host.path(daemon).chmod(0o755)
            host.install_vfskit(HOOK, VFSCTL, daemon, WRAPPER)
            host.write('/etc/vfskit/mappings.yaml', mappings())
            for path in PATHS.values():
                host.path(path).mkdir()
                host.run('mount', '--bind', share, path)
        modules = vm.ninep_kernel(hosts.directory)[1] if 'ninep' in groups else {}
        image = vm.make_initramfs(hosts.directory, {'/bin/keeper': KEEPER} | modules)
        image.chmod(0o644)
        hosts.start()
        ssh = SshServer(hosts.b, hosts.a, hosts.directory), SshServer(hosts.a, hosts.b, hosts.directory)
        for name in groups:
            matrix = Matrix(f'libvirt {name}')
            tour = Tour(hosts, image, matrix)
            GROUPS[name](tour)
            if name == 'managed':
                tour.start('', MANAGED.format(binary='/run/of-host-a/virtiofsd'))
                ssh_is_needed(hosts, ssh[0])
            tour.end()
            matrix.compare()


if __name__ == '__main__':
    sys.exit(main())

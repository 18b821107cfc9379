#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The migration check is right: in real set-ups of two nodes with plain QEMU it says beforehand what a real migration
then does. docs/check-matrix.md has the table, and this test compares it with what it sees.

    under_qemu.py [GROUP...]     those of ORDINARY without an argument

Each node has its own mounts, processes, network and mapping file. One guest per group goes from set-up to set-up: a
refused migration leaves it where it is, and from where it arrives it goes on.
Needs: root, QEMU, ip, a filesystem with file handles below /var/tmp.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

import vm
from check_matrix import Matrix, Outcome, Prediction, read_prediction
from libvirt_hosts import Host, Hosts
from migration import OURS, Traveller, start_migration, wait_for_migration

VFSCTL = os.environ['VFSKIT_VFSCTL']
RUN = '/run/share'  # on each node; the daemon's sockets have the same paths on both
PASSING = '/run/vfskit-migration'
MEMORY = 256
COMMON = ('--xattr', '--allow-direct-io', f'--control-socket={RUN}/control')
BOOT_ID = '/proc/sys/kernel/random/boot_id'
MIB = 1 << 20
HUGE_PAGE = 2 * MIB
HUGE_PAGES = pathlib.Path(f'/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE // 1024}kB/nr_hugepages')
NEEDED_PAGES = MEMORY * MIB // HUGE_PAGE
PRIVATE_MEMORY = 'memory-backend-memfd,share=off'


@dataclasses.dataclass
class Setup:
    """What the destination is like for one cell, and how the guest is sent there."""
    name: str
    there: pathlib.Path | None = None  # the directory behind the destination's path; None: that of the source
    path: str | None = None            # the destination's path in the mapping; None: the usual one
    options: tuple[str, ...] | None = None  # of the destination's daemon; None: those of the source
    has_daemon: bool = True
    method: str | None = 'same'        # the mapping's; 'same': the group's
    relation: str | None = None        # the mapping's; None: the group's
    words: tuple[str, ...] = ()        # more words for vfsctl check
    transport: str = 'unix'
    capability: str = ''               # of QEMU's migration, beside return-path
    is_copy: bool = False
    consequence: object = None         # a function of the tour: what a warning spoke of is seen
    kind: str = 'less'                 # of the outcome then
    binary: str = OURS                 # the destination's daemon


class Tour(Traveller):
    """The guest, the node that it is on, and the node that it is to go to."""

    def __init__(self, hosts: Hosts, base: pathlib.Path, matrix: Matrix, group: 'Group'):
        super().__init__()
        self.base, self.matrix, self.method, self.relation = base, matrix, group.method, group.relation
        self.machine, self.backend = group.machine, group.backend
        self.words_before_qemu = {host.name: () for host in hosts.both()}
        self.options = (*COMMON, f'--migration-mode={group.method}', *group.options)
        self.here, self.there = hosts.both()
        self.share = base / matrix.name.split()[-1]
        self.share.mkdir()
        self.paths = {host.name: f'/srv/of-{host.name}' for host in hosts.both()}
        self.copies = 0
        for host in hosts.both():
            self.put(host, self.paths[host.name], self.share)

    def put(self, host: Host, path: str, directory: pathlib.Path):
        """The directory at that path of the host."""
        host.run('umount', path, check=False)
        host.path(path).mkdir(exist_ok=True)
        host.run('mount', '--bind', directory, path)

    # --- what Traveller starts, on the nodes

    def make_daemon(self, binary, share, options):
        host = self.there if self.guest else self.here
        for name in ('fs.sock', 'control'):
            (self.base / host.name / name).unlink(missing_ok=True)
        return vm.Daemon(' '.join([*self.on(host), binary]), share, *options, socket_path=f'{RUN}/fs.sock',
                         seen_at=self.base / host.name / 'fs.sock')

    @staticmethod
    def on(host: Host) -> list[str]:
        """The words before a command that ends with the nsenter that stands for it here."""
        return [*host.enter(), 'setpriv', '--pdeathsig', 'KILL', '--']

    def daemon_pid(self) -> int:
        """The process that serves: below nsenter, and below the sandbox's parent."""
        pid = self.daemon.process.pid
        while children := pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split():
            pid = int(children[0])
        return pid

    def make_guest(self, daemon, **options):
        host = self.there if self.guest else self.here
        return vm.Guest([self.share_of(daemon)], image=self.image, memory=MEMORY, cpus=1, backend=self.backend,
                        more=['-name', 'web', *self.machine],
                        prefix=[*self.words_before_qemu[host.name], *self.on(host)], **options)

    def begin(self):
        self.start(OURS, self.paths[self.here.name], *self.options, keeps=False)
        if self.backend == PRIVATE_MEMORY:
            return  # the share does not answer
        self.start_witness()
        self.run('set -e; cd /mnt; mkdir d1; for name in missing unlinked kept; do echo $name >d1/$name; done; sync')

    # --- what the guest has

    def hold(self, name: str):
        """A process in the guest that has d1/NAME open."""
        self.run(f'exec 5</mnt/d1/{name}; sleep 9000 <&5 5<&- & echo $! >/tmp/{name}')

    def read_held(self, name: str) -> str:
        return self.run(f'cat /proc/$(cat /tmp/{name})/fd/0 2>&1', check=False)

    def release(self, name: str):
        self.run(f'kill $(cat /tmp/{name}); sleep 0.2; echo 3 >/proc/sys/vm/drop_caches')

    def copy(self) -> pathlib.Path:
        self.run('sync')
        self.copies += 1
        copy = self.base / f'{self.share.name}-{self.copies}'
        subprocess.run(['cp', '-a', self.share, copy], check=True)
        return copy

    def another(self) -> pathlib.Path:
        other = self.base / 'other'
        (other / 'd1').mkdir(parents=True, exist_ok=True)
        return other

    # --- one cell

    def try_out(self, setup: Setup, holds: dict[str, str] | None = None):
        """Predicts, migrates, and adds the row."""
        started = time.monotonic()
        method = self.method if setup.method == 'same' else setup.method
        path = setup.path or self.paths[self.there.name]
        if setup.path is None:
            self.put(self.there, path, setup.there or self.share)
        self.write_mappings(path, method, setup.relation or self.relation)
        options = self.options if setup.options is None else setup.options
        daemon = self.try_daemon(path, options, setup.binary) if setup.has_daemon else None
        prediction = self.predict(setup)
        outcome = self.migrate(setup, daemon, holds or {}) if daemon or not setup.has_daemon else \
            Outcome('stays', 'the daemon there does not start')
        if outcome.kind == 'stays':
            self.check_running()
            self.witness(holds or {}, False)
        self.matrix.add(self.name_of(method), setup.name, prediction, outcome, time.monotonic() - started)

    def name_of(self, method: str | None) -> str:
        return self.method if method == self.method else f'{method or "none"}, the daemon has {self.method}'

    def write_mappings(self, path: str, method: str | None, relation: str):
        line = f'    live-migration-method: {method}\n' if method else ''
        text = (f'version: 1\nmappings:\n  share:\n{line}    path-relation: {relation}\n'
                f'    nodes: {{{self.here.name}: "{self.paths[self.here.name]}", {self.there.name}: "{path}"}}\n')
        for host in (self.here, self.there):
            host.write('/etc/vfskit/mappings.yaml', text)

    def try_daemon(self, path, options, binary=OURS):
        try:
            return self.make_daemon(binary, path, options)
        except vm.GuestError:
            return None

    def predict(self, setup: Setup) -> Prediction:
        store = ('--store', 'yaml:/etc/vfskit/mappings.yaml')
        for host in (self.here, self.there):
            facts = host.run(VFSCTL, 'node', 'facts', '--json', *store).stdout
            (self.base / f'{host.name}.json').write_text(facts)
        description = {'kind': 'vm-description', 'version': 1, 'name': 'web', 'is-running': True,
                       'shares': [{'tag': 's', 'dirid': 'share', 'launch': 'socket', 'socket': f'{RUN}/fs.sock'}]}
        (self.base / 'web.json').write_text(json.dumps(description))
        done = self.here.run(VFSCTL, 'check', '--description', self.base / 'web.json', '--from', self.here.name,
                             '--to', self.there.name, '--json', *store, *setup.words,
                             '--uri', 'unix:/m' if setup.transport == 'unix' else 'tcp:x:1',
                             *(word for host in (self.here, self.there)
                               for word in ('--facts', self.base / f'{host.name}.json')), check=False)
        assert done.returncode in (0, 6, 7), done.stderr
        return read_prediction(done.stdout)

    def migrate(self, setup: Setup, daemon: vm.Daemon | None, holds) -> Outcome:
        with contextlib.ExitStack() as stack:
            if daemon:
                stack.callback(daemon.__exit__)
            try:
                guest = self.make_guest(daemon or self.daemon, incoming='defer')
            except vm.GuestError:
                return Outcome('stays', 'QEMU there does not start')
            stack.callback(guest.__exit__)
            uri = f'tcp:{self.there.address}:4444' if setup.transport == 'tcp' else f'unix:{guest.directory}/migration'
            try:
                if setup.capability:
                    for each in (self.guest, guest):
                        each.qmp.execute('migrate-set-capabilities',
                                         capabilities=[{'capability': setup.capability, 'state': True}])
                start_migration(self.guest, guest, uri=uri)
                status = wait_for_migration(self.guest)
            except (OSError, vm.GuestError):
                if self.guest.process.poll() is not None or not self.is_answering():
                    return Outcome('lost', 'the guest ends with its QEMU')
                if setup.capability:
                    self.guest.qmp.execute('migrate-set-capabilities',
                                           capabilities=[{'capability': setup.capability, 'state': False}])
                return Outcome('stays', 'QEMU refuses')
            if status != 'completed':
                return Outcome('stays', 'it fails')
            stack.pop_all()
        self.settle(daemon, guest)
        self.here, self.there = self.there, self.here
        self.share = setup.there or self.share
        if setup.consequence:
            return Outcome(setup.kind, setup.consequence(self))
        self.witness(holds, setup.is_copy)
        return Outcome('moves')

    def is_answering(self) -> bool:
        try:
            return self.guest.qmp.execute('query-status')['status'] == 'running'
        except (OSError, vm.GuestError):
            return False

    def witness(self, holds, is_copy):
        self.ask_witness(is_copy)
        for name, content in holds.items():
            assert self.read_held(name) == content, f'{name} is not what it was'


def missing_mount(tour: Tour) -> str:
    """A mount point that waits for its filesystem, as a unit of systemd says; its path."""
    path = '/srv/waiting'
    tour.there.path(path).mkdir(exist_ok=True)
    tour.there.write('/run/systemd/system/srv-waiting.mount', f'[Mount]\nWhat=filer:/x\nWhere={path}\nType=nfs\n')
    return path


def a_file(tour: Tour) -> str:
    tour.there.write('/srv/file', 'no directory\n')
    return '/srv/file'


def broken_paths(tour: Tour):
    """What is wrong with the destination whatever the method."""
    tour.try_out(Setup('an empty mount point', path=missing_mount(tour)))
    tour.try_out(Setup('no such directory', path='/srv/nowhere'))
    tour.try_out(Setup('a file instead of a directory', path=a_file(tour)))
    tour.try_out(Setup('no daemon listens', has_daemon=False))


def unlinked(tour: Tour, name: str) -> dict[str, str]:
    tour.hold(name)
    tour.run(f'rm /mnt/d1/{name}')
    return {name: f'{name}\n'}


def lose(tour: Tour, setup: Setup, outcome: Outcome):
    """The last set-up of a group: whatever becomes of the guest, its share is dead."""
    started = time.monotonic()
    tour.write_mappings(tour.paths[tour.there.name], tour.method, tour.relation)
    tour.put(tour.there, tour.paths[tour.there.name], tour.share)
    with tour.try_daemon(tour.paths[tour.there.name], tour.options) as daemon:
        prediction = tour.predict(setup)
        seen = tour.migrate(setup, daemon, {})
    assert seen.kind in ('lost', 'stays'), seen
    tour.matrix.add(tour.method, setup.name, prediction, outcome, time.monotonic() - started)


def kill_the_daemon(tour: Tour):
    os.kill(tour.daemon_pid(), 9)
    # QEMU 10.0 loses the guest, later ones keep it at the source, without its share.
    lose(tour, Setup("the source's daemon is dead"), Outcome('lost', 'the guest, or its share'))


def find_paths(tour: Tour):
    tour.try_out(Setup('the same directory'))
    tour.try_out(Setup('the same directory, over TCP', transport='tcp'))
    tour.try_out(Setup('post-copy', words=('--post-copy',), capability='postcopy-ram'))
    tour.try_out(Setup('another directory of the filesystem, declared a copy', there=tour.another()))
    tour.try_out(Setup('another directory of the filesystem, declared the same', there=tour.another(),
                       relation='same-directory'))
    lacking = tour.copy()
    tour.hold('missing')
    (lacking / 'd1/missing').unlink()
    tour.try_out(Setup('a copy that lacks an open file', there=lacking), {'missing': 'missing\n'})
    tour.release('missing')
    held = unlinked(tour, 'unlinked')
    tour.try_out(Setup('an open file was deleted; a copy', there=tour.copy()), held)
    tour.try_out(Setup('an open file was deleted; the same directory'), held)
    tour.release('unlinked')
    tour.try_out(Setup('a copy', there=tour.copy(), is_copy=True))
    broken_paths(tour)
    tour.try_out(Setup('a mapping without a method', method=None))
    tour.try_out(Setup('the mapping says file-handles', method='file-handles', relation='same-directory',
                       consequence=travelled_by_paths))
    tour.try_out(Setup('the destination lacks --xattr', options=without(tour.options, '--xattr'),
                       consequence=has_no_xattr))
    kill_the_daemon(tour)


def without(options, *words) -> tuple[str, ...]:
    return tuple(option for option in options if option not in words)


def travelled_by_paths(tour: Tour) -> str:
    tour.ask_witness()
    return 'it moves by paths'


def has_no_xattr(tour: Tour) -> str:
    assert 'same' not in tour.run('''echo >/tmp/asked; mv /tmp/asked /tmp/ask
        while [ -e /tmp/ask ]; do sleep 0.05; done; cat /tmp/answer''')
    return 'the extended attributes are gone'


def options(tour: Tour):
    for words in (('--writeback',), ('--posix-acl=always',)):
        tour.try_out(Setup(f'the destination lacks {words[0]}', options=without(tour.options, *words)))
    tour.try_out(Setup('the destination has --no-announce-submounts',
                       options=(*tour.options, '--no-announce-submounts')))
    tour.try_out(Setup('the same options'))
    tour.try_out(Setup('the destination is read-only', options=(*tour.options, '--readonly'),
                       consequence=cannot_write))


def locks(tour: Tour):
    tour.try_out(Setup('the guest holds locks on the host'))  # the witness does


def cannot_write(tour: Tour) -> str:
    tour.run('! touch /mnt/new')
    return 'the guest cannot write'


def file_handles(tour: Tour):
    tour.try_out(Setup('the same directory'))
    tour.try_out(Setup('the same directory, over TCP', transport='tcp'))
    tour.try_out(Setup('a copy, declared one', there=tour.copy(), relation='replicas'))
    tour.try_out(Setup('a copy, declared the same directory', there=tour.copy()))
    tour.try_out(Setup('another directory of the filesystem', there=tour.another()))
    tour.try_out(Setup('the daemon there may not open handles',
                       options=(*tour.options, '--modcaps=-dac_read_search')))
    held = unlinked(tour, 'unlinked')
    tour.hold('missing')
    (tour.share / 'd1/missing').unlink()
    tour.try_out(Setup('an open file was deleted, by the guest and by the host'), held | {'missing': 'missing\n'})
    broken_paths(tour)
    tour.try_out(Setup('the mapping says find-paths; a copy', method='find-paths', relation='replicas',
                       there=tour.copy()))
    kill_the_daemon(tour)


def fd_passing(tour: Tour):
    tour.try_out(Setup('the same directory'))
    tour.try_out(Setup('the same directory, over TCP', transport='tcp'))
    tour.try_out(Setup('a copy', there=tour.copy()))
    tour.try_out(Setup('another directory of the filesystem', there=tour.another()))
    tour.try_out(Setup('the daemon there does not pass descriptors',
                       options=without(tour.options, '--migration-mode=fd-passing')))
    held = unlinked(tour, 'unlinked')
    tour.try_out(Setup('locks are held, and the daemon there takes none',
                       options=without(tour.options, '--posix-lock', '--flock')), held)
    tour.try_out(Setup('an open file was deleted, and locks are held'), held)
    with another_kernel(tour.there, tour.base):
        tour.try_out(Setup('another host'), held)
    broken_paths(tour)
    kill_the_daemon(tour)


@contextlib.contextmanager
def another_kernel(host: Host, base: pathlib.Path):
    """A boot id of its own is what tells another host."""
    (base / 'boot-id').write_text(f'{uuid.uuid4()}\n')
    host.run('mount', '--bind', base / 'boot-id', BOOT_ID)
    yield
    host.run('umount', BOOT_ID)


# --- the guest's memory, and that of the node it is to go to

def huge_pages(tour: Tour):
    """Both nodes have the pool of their one kernel: what the guest holds at the source is not free at the target."""
    tour.try_out(Setup('no huge page is free there'))
    make_huge_pages(2 * NEEDED_PAGES - 1)
    tour.try_out(Setup('one huge page less than it needs'))
    make_huge_pages(2 * NEEDED_PAGES)
    tour.try_out(Setup('as many huge pages as it needs'))


@contextlib.contextmanager
def pool_for_one_guest():
    usual = int(HUGE_PAGES.read_text())
    make_huge_pages(NEEDED_PAGES)
    try:
        yield
    finally:
        HUGE_PAGES.write_text(f'{usual}\n')  # what QEMU still holds follows when it has ended


def make_huge_pages(count: int):
    HUGE_PAGES.write_text(f'{count}\n')
    assert int(HUGE_PAGES.read_text()) == count, f'this machine has no {count} huge pages of 2 MiB'


def private_memory(tour: Tour):
    tour.run('! timeout 5 ls /mnt')
    text = 'the share does not answer'
    lose(tour, Setup('its memory is private', consequence=lambda _: text, kind='lost'), Outcome('lost', text))


def little_memory(tour: Tour):
    """The target is a container, whose kernel gives it no more than its control group has; /proc/meminfo says so
    there, as lxcfs makes it."""
    with Container(tour, MEMORY * MIB // 2) as container:
        tour.try_out(Setup('the target has half of its memory'))
        assert container.killed() > 0, 'it was not for want of memory'
    with Container(tour, 4 * MEMORY * MIB):
        tour.try_out(Setup('the target has memory enough'))


class Container:
    """The QEMU that the tour starts on the other node may have `limit` bytes."""

    def __init__(self, tour: Tour, limit: int):
        self.tour, self.host = tour, tour.there
        root = pathlib.Path('/sys/fs/cgroup')
        old = (root / 'memory').is_dir()
        limit_name, swap_name, self.events = (
            'memory.limit_in_bytes', 'memory.memsw.limit_in_bytes', 'memory.oom_control') if old else (
            'memory.max', 'memory.swap.max', 'memory.events')
        self.group = root / 'memory' / f'vfskit-{os.getpid()}' if old else root / f'vfskit-{os.getpid()}'
        self.group.mkdir()
        (self.group / limit_name).write_text(str(limit))
        if (self.group / swap_name).exists():
            (self.group / swap_name).write_text(str(limit if old else 0))
        meminfo = tour.base / 'meminfo'
        meminfo.write_text(f'MemTotal: {limit // 1024} kB\nMemAvailable: {limit // 1024} kB\n')
        self.host.run('mount', '--bind', meminfo, '/proc/meminfo')

    def __enter__(self):
        self.tour.words_before_qemu[self.host.name] = (
            'sh', '-c', f'echo $$ >{self.group}/cgroup.procs; exec "$@"', 'sh')
        return self

    def killed(self) -> int:
        """How many processes the kernel has ended there to have memory."""
        counts = dict(line.split() for line in (self.group / self.events).read_text().splitlines())
        return int(counts['oom_kill'])

    def __exit__(self, *exc):
        self.tour.words_before_qemu[self.host.name] = ()
        self.host.run('umount', '/proc/meminfo')
        for process in (self.group / 'cgroup.procs').read_text().split():
            (self.group.parent / 'cgroup.procs').write_text(process)
        self.group.rmdir()


# --- other versions of QEMU and virtiofsd

def script(path: pathlib.Path, command: str) -> str:
    path.write_text(f'#!/bin/sh\nexec {command}\n')
    path.chmod(0o755)
    return str(path)


def old_ones(tour: Tour):
    """What Debian 12 has: QEMU 7.2 and the daemon in C that came with it."""
    root = vm.unpack('qemu-bookworm', 'bookworm', 'qemu-system-x86')
    libraries = ':'.join(sorted({str(path.parent) for path in root.rglob('*.so*')}, key=len))
    loader = next(path for path in root.rglob('ld-linux-x86-64.so.2') if path.is_file())
    modules = next(root.rglob('accel-tcg-x86_64.so')).parent
    qemu = script(tour.base / 'qemu-7.2', f'env QEMU_MODULE_DIR={modules} {loader} --library-path {libraries} '
                  f'{root}/usr/bin/qemu-system-x86_64 -L {root}/usr/share/qemu -L {root}/usr/share/seabios "$@"')
    place = shutil.which(vm.QEMU)
    tour.there.run('mount', '--bind', qemu, place)
    tour.try_out(Setup('QEMU 7.2 there'))
    tour.there.run('umount', place)
    daemon = script(tour.base / 'c-daemon',
                    f'{root}/usr/lib/qemu/virtiofsd "$1" -o source="${{2#--shared-dir=}}" -o xattr')
    tour.try_out(Setup('the daemon of QEMU 7.2 there', binary=daemon, options=()))


@contextlib.contextmanager
def upstream(host: Host):
    """Its 1.13.2, with the libraries of Debian 13 on that host: they serve the older programs, too."""
    root = pathlib.Path(vm.peer_virtiofsd('trixie')).parent
    place = '/usr/lib/x86_64-linux-gnu'
    host.run('mount', '-t', 'overlay', '-o', f'lowerdir={root}{place}:{place}', 'overlay', place)
    yield str(root / 'usr/libexec/virtiofsd')
    host.run('umount', '-l', place)


def upstream_paths(tour: Tour):
    words = without(tour.options, f'--control-socket={RUN}/control')
    with upstream(tour.there) as binary:
        held = unlinked(tour, 'unlinked')
        tour.try_out(Setup('upstream 1.13.2 there; an open file was deleted', binary=binary, options=words), held)
        tour.release('unlinked')
        tour.try_out(Setup('upstream 1.13.2 there', binary=binary, options=words))
        tour.try_out(Setup('from upstream 1.13.2'))


def upstream_handles(tour: Tour):
    words = without(tour.options, f'--control-socket={RUN}/control')
    with_handles = (*words, '--inode-file-handles=prefer')
    with upstream(tour.there) as binary:
        tour.try_out(Setup('upstream 1.13.2 there, without file handles', binary=binary, options=words))
        tour.try_out(Setup('upstream 1.13.2 there', binary=binary, options=with_handles))
        tour.try_out(Setup('from upstream 1.13.2'))
        tour.try_out(Setup('upstream 1.13.2 there, another directory', binary=binary, options=with_handles,
                           there=tour.another(), consequence=serves_two_directories, kind='lost'))


def serves_two_directories(tour: Tour) -> str:
    tour.run('echo 3 >/proc/sys/vm/drop_caches; ! cat /mnt/d1/kept')
    return 'two directories are served'


@dataclasses.dataclass
class Group:
    """What one guest goes through, from a daemon with this method, by a mapping that says so."""
    act: object
    method: str
    relation: str
    options: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    backend: str = vm.SHARED_MEMORY
    stage: object = contextlib.nullcontext  # what is to be there before the guest, and goes after it


GROUPS = {
    'find-paths': Group(find_paths, 'find-paths', 'replicas'),
    'file-handles': Group(file_handles, 'file-handles', 'same-directory'),
    'fd-passing': Group(fd_passing, 'fd-passing', 'same-directory', ('--posix-lock', '--flock')),
    'options': Group(options, 'find-paths', 'same-directory', ('--posix-acl=always', '--writeback')),
    'locks': Group(locks, 'find-paths', 'same-directory', ('--posix-lock', '--flock')),
    'huge-pages': Group(huge_pages, 'find-paths', 'same-directory', stage=pool_for_one_guest,
                        backend=f'{vm.SHARED_MEMORY},hugetlb=on,hugetlbsize=2M'),
    'private-memory': Group(private_memory, 'find-paths', 'same-directory', backend=PRIVATE_MEMORY),
    'little-memory': Group(little_memory, 'find-paths', 'same-directory'),
    'old-ones': Group(old_ones, 'find-paths', 'same-directory', (), ('-machine', 'pc-q35-7.2')),
    'upstream-paths': Group(upstream_paths, 'find-paths', 'same-directory'),
    'upstream-handles': Group(upstream_handles, 'file-handles', 'same-directory'),
}
ORDINARY = ('find-paths', 'file-handles', 'fd-passing')


def main():
    with Hosts() as hosts, tempfile.TemporaryDirectory(dir='/var/tmp') as directory:
        base = pathlib.Path(directory)
        base.chmod(0o755)
        passing = base / 'passing'
        passing.mkdir(mode=0o700)
        for host in hosts.both():
            (base / host.name).mkdir()
            host.path(RUN).mkdir()
            host.run('mount', '--bind', base / host.name, RUN)
            # Where daemons of one host pass descriptors to each other.
            host.path(PASSING).mkdir(mode=0o700)
            host.run('mount', '--bind', passing, PASSING)
        for name in sys.argv[1:] or ORDINARY:
            matrix = Matrix(f'qemu {name}')
            with GROUPS[name].stage(), Tour(hosts, base, matrix, GROUPS[name]) as tour:
                tour.begin()
                GROUPS[name].act(tour)
            matrix.compare()


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

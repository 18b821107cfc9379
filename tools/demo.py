#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/demo shows: a mapping, what vfsctl makes of it, a guest at work on the share, its live migration."""
import contextlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import migration
import vm

DOMAIN = """<domain type='qemu'>
  <name>demo</name>
  <memory unit='MiB'>512</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <!-- this comment, and everything else, stays as it is -->
  <devices/>
</domain>
"""


def show(title: str):
    print(f'\n== {title}', flush=True)


class Vfsctl:
    """Runs vfsctl as a user would and shows what it was told and what it said."""

    def __init__(self, binary: pathlib.Path, store: pathlib.Path):
        self.binary = binary
        self.environment = {**os.environ, 'VFSKIT_STORE': f'yaml:{store}'}

    def __call__(self, *words: str, statuses=(0,)) -> str:
        print('$ vfsctl', shlex.join(words), flush=True)
        done = self._run(words)
        print(done.stdout, done.stderr, sep='', end='', flush=True)
        if done.returncode not in statuses:
            sys.exit(f'vfsctl ended with {done.returncode}')
        return done.stdout

    def quiet(self, *words: str) -> str:
        """Shows what went wrong only."""
        done = self._run(words)
        if done.returncode != 0:
            sys.exit(f'vfsctl {shlex.join(words)} ended with {done.returncode}: {done.stderr}')
        return done.stdout

    def _run(self, words) -> subprocess.CompletedProcess:
        return subprocess.run([self.binary, *words], env=self.environment, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def running(command: list[str], socket: pathlib.Path):
    """A daemon, from its socket's appearance to its end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit('the daemon did not start')
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


WRITER = """exec 5>>/mnt/journal
i=0
while [ ! -e /tmp/stop ]; do i=$((i + 1)); echo $i >&5; sleep 0.02; done
"""


class Node:
    """One end of the migration: its daemon, as vfsctl says to run it, and its QEMU's arguments."""

    def __init__(self, name: str, base: pathlib.Path, vfsctl: Vfsctl, binary: str):
        self.socket = base / f'{name}.sock'
        where = ['--vm', 'demo', '--node', name, '--socket', str(self.socket)]
        self.daemon = shlex.split(vfsctl('daemon', 'command', 'media', *where, '--binary', binary))
        self.qemu = [*shlex.split(vfsctl('qemu', 'args', 'media', *where, '--memory', '512M')), '-name', 'demo']


def work_in_guest(guest: vm.Guest, shared: pathlib.Path):
    (shared / 'from-the-host').write_text('hello, guest\n')
    guest.run('mount -t virtiofs media /mnt')
    print('guest reads:', guest.run('cat /mnt/from-the-host').strip())
    guest.run('for i in $(seq 1 500); do echo line $i; done > /mnt/from-the-guest')
    lines = (shared / 'from-the-guest').read_text().splitlines()
    print(f'host reads: {len(lines)} lines, the last is "{lines[-1]}"')
    assert len(lines) == 500
    guest.run(f'cat > /tmp/writer <<\'END\'\n{WRITER}END\nsh /tmp/writer >/dev/null 2>&1 &')
    print('a writer in the guest holds a file open and appends to it, fifty times a second')


def count_records(journal: pathlib.Path) -> int:
    """How many records there are; each must follow the one before."""
    records = journal.read_text().split()
    assert records == [str(number) for number in range(1, len(records) + 1)], 'a record is missing or out of order'
    return len(records)


def travel(source: vm.Guest, destination: vm.Guest, journal: pathlib.Path):
    before = count_records(journal)
    status = migration.migrate(source, destination)
    if status != 'completed':
        sys.exit(f'the migration {status}')
    statistics = source.qmp.execute('query-migrate')
    source.close()
    time.sleep(1)
    destination.run('touch /tmp/stop; while pgrep -f /tmp/writer >/dev/null; do sleep 0.1; done')
    after = count_records(journal)
    print(f'{before} records before, {after} after: none is missing, and the writer\'s open file lived on')
    print(f'{statistics["ram"]["transferred"] >> 20} MiB in {statistics["total-time"]} ms; '
          f'the guest stood still for {statistics["downtime"]} ms')
    assert after > before
    destination.run('umount /mnt')


def check_before(vfsctl: Vfsctl, base: pathlib.Path, nodes: dict[str, Node], binary: str):
    """What would fail, from each node's facts and a description of a VM that nobody manages."""
    description = base / 'demo.json'
    description.write_text(json.dumps({
        'kind': 'vm-description', 'version': 1, 'name': 'demo', 'is-running': True, 'has-shared-memory': True,
        'memory-bytes': 512 << 20, 'shares': [{'tag': 'media', 'dirid': 'media', 'launch': 'socket',
                                               'socket': str(nodes['n1'].socket), 'binary': binary}]}, indent=2))
    facts = []
    for name in nodes:
        file = base / f'{name}.json'
        print(f'$ vfsctl node facts --node {name} --json > {file}')
        file.write_text(vfsctl.quiet('node', 'facts', '--node', name, '--json'))
        facts += ['--facts', str(file)]
    vfsctl('check', '--description', str(description), '--from', 'n1', '--to', 'n2', *facts, '--no-ssh',
           '--return-path', 'on', '--uri', f'unix:{base}/migration', statuses=(0, 6))


@contextlib.contextmanager
def mounted_twice(first: pathlib.Path, second: pathlib.Path):
    """One directory under two paths, as a cluster filesystem has it on two nodes."""
    subprocess.run(['mount', '--bind', first, second], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', second], check=True)


def show_the_definition(vfsctl: Vfsctl, base: pathlib.Path, paths: dict[str, pathlib.Path]):
    show('Define a directory mapping: one id, a path per node')
    vfsctl('mapping', 'add', 'media', *(f'{node}:{path}' for node, path in paths.items()),
           '--method', 'find-paths', '--relation', 'same-directory', '--description', 'Films and music')
    vfsctl('mapping', 'list')

    show('What a libvirt domain needs, checked with libvirt\'s own grammar')
    (base / 'domain.xml').write_text(DOMAIN)
    vfsctl('xml', 'patch', str(base / 'domain.xml'), 'media', '--node', 'n1', '--in-place', '--validate')
    print((base / 'domain.xml').read_text())


def show_the_migration(vfsctl: Vfsctl, base: pathlib.Path, nodes: dict[str, Node], shared: pathlib.Path, binary: str):
    image = vm.make_initramfs(base, {})
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(nodes['n1'].daemon, nodes['n1'].socket))
        show(f'A guest boots (a stock Debian kernel, {vm.pick_accel()}), mounts the share and works on it')
        source = stack.enter_context(vm.Guest([], image=image, share_arguments=nodes['n1'].qemu))
        work_in_guest(source, shared)

        stack.enter_context(running(nodes['n2'].daemon, nodes['n2'].socket))
        show('Would a migration to node n2 succeed?')
        if pathlib.Path(binary).is_relative_to(vm.CACHE):
            print('not asked: a daemon that runs by the loader of another release is not known as virtiofsd')
        else:
            check_before(vfsctl, base, nodes, binary)

        show('Live migration to node n2, where the directory has another path')
        destination = stack.enter_context(
            vm.Guest([], image=image, share_arguments=nodes['n2'].qemu, incoming='defer'))
        travel(source, destination, shared / 'journal')


def upstream(suite: str) -> str:
    """The upstream daemon that is installed, or that of a Debian suite."""
    if suite != 'upstream':
        return vm.peer_virtiofsd(suite)
    installed = [path for path in map(pathlib.Path, ('/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd'))
                 if os.access(path, os.X_OK)]
    return str(installed[0]) if installed else vm.peer_virtiofsd('trixie')


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    binary = str(build / 'virtiofsd/virtiofsd')
    option, _, suite = ' '.join(sys.argv[2:4]).replace(' ', '=', 1).partition('=')
    if option == '--peer':
        binary = upstream(suite or 'upstream')
    vm.kernel()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='vfskit-demo-') as directory:
        base = pathlib.Path(directory)
        paths = {node: base / node / 'media' for node in ('n1', 'n2')}
        for path in paths.values():
            path.mkdir(parents=True)
        vfsctl = Vfsctl(build / 'vfsctl/vfsctl', base / 'mappings.yaml')
        with mounted_twice(paths['n1'], paths['n2']):
            show_the_definition(vfsctl, base, paths)
            show('What to run on each node')
            nodes = {name: Node(name, base, vfsctl, binary) for name in paths}
            show_the_migration(vfsctl, base, nodes, paths['n1'], binary)
        show(f'Done in {time.monotonic() - started:.0f} s; nothing is left behind')
    return 0


if __name__ == '__main__':
    sys.exit(main())

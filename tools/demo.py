#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/demo shows: a mapping, what vfsctl makes of it, and a guest that works on the share."""
import contextlib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

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

    def __call__(self, *words: str) -> str:
        print('$ vfsctl', shlex.join(words), flush=True)
        done = subprocess.run([self.binary, *words], env=self.environment, capture_output=True, text=True,
                              check=False)
        print(done.stdout, done.stderr, sep='', end='', flush=True)
        if done.returncode != 0:
            sys.exit(f'vfsctl ended with {done.returncode}')
        return done.stdout


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


def work_in_guest(guest: vm.Guest, shared: pathlib.Path):
    (shared / 'from-the-host').write_text('hello, guest\n')
    guest.run('mount -t virtiofs media /mnt')
    print('guest reads:', guest.run('cat /mnt/from-the-host').strip())
    guest.run('for i in $(seq 1 500); do echo line $i; done > /mnt/from-the-guest')
    lines = (shared / 'from-the-guest').read_text().splitlines()
    print(f'host reads: {len(lines)} lines, the last is "{lines[-1]}"')
    assert len(lines) == 500
    guest.run('umount /mnt')


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    daemon = str(build / 'virtiofsd/virtiofsd')
    if sys.argv[2:3] == ['--peer']:
        daemon = vm.peer_virtiofsd(sys.argv[3] if len(sys.argv) > 3 else 'trixie')
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='vfskit-demo-') as directory:
        base = pathlib.Path(directory)
        paths = {node: base / node / 'media' for node in ('n1', 'n2')}
        for path in paths.values():
            path.mkdir(parents=True)
        vfsctl = Vfsctl(build / 'vfsctl/vfsctl', base / 'mappings.yaml')

        show('Define a directory mapping: one id, a path per node')
        vfsctl('mapping', 'add', 'media', f'n1:{paths["n1"]}', f'n2:{paths["n2"]}', '--method', 'find-paths',
               '--relation', 'replicas', '--description', 'Films and music')
        vfsctl('mapping', 'list')

        show('What a libvirt domain needs, checked with libvirt\'s own grammar')
        (base / 'domain.xml').write_text(DOMAIN)
        vfsctl('xml', 'patch', str(base / 'domain.xml'), 'media', '--node', 'n1', '--in-place', '--validate')
        print((base / 'domain.xml').read_text())

        show('What to run on node n1, and running it')
        socket = base / 'fs.sock'
        printed = vfsctl('daemon', 'command', 'media', '--vm', 'demo', '--node', 'n1', '--socket', str(socket),
                         '--binary', daemon)
        arguments = vfsctl('qemu', 'args', 'media', '--vm', 'demo', '--node', 'n1', '--socket', str(socket),
                           '--memory', '512M')
        vm.kernel()
        with running(shlex.split(printed), socket):
            show(f'A guest boots (a stock Debian kernel, {vm.pick_accel()}), mounts the share and works on it')
            with vm.Guest([], share_arguments=shlex.split(arguments)) as guest:
                work_in_guest(guest, paths['n1'])
        show(f'Done in {time.monotonic() - started:.0f} s; nothing is left behind')
    return 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every POSIX behaviour that holds on the host's filesystem holds in a guest on a share of it.

The suite runs directly on the host, then in a guest for each way to start the daemon, then there on upstream's
daemon for comparison (its differences are printed, they do not count).
Needs: root, QEMU, a filesystem with xattrs below /var/tmp.
"""
import contextlib
import os
import subprocess
import sys
import tempfile
import typing

import vm

SUITE = os.environ['VFSKIT_POSIX_SUITE']
OURS = os.environ['VFSKIT_VIRTIOFSD']
COMPARISON = 'upstream, for comparison'

# What an operator may choose, each with what could go wrong only there. Security xattrs need a capability.
MODES = {
    'default': [],
    'no file handles': ['--inode-file-handles=never'],
    'few descriptors': ['--inode-fd-budget=64'],
    'cache always': ['--cache=always'],
    'cache never': ['--cache=never', '--allow-mmap'],
    'cache metadata': ['--cache=metadata', '--allow-mmap'],
    'writeback': ['--writeback', '--cache=always'],
    'chroot': ['--sandbox=chroot'],
    'no sandbox': ['--sandbox=none'],
    'thread pool': ['--thread-pool-size=4'],
    'host locks': ['--posix-lock', '--flock'],
    'acl and killpriv': ['--posix-acl', '--killpriv-v2'],
}


def parse(output: str) -> dict[str, str]:
    """Case name -> "" (held) or what was wrong."""
    results = {}
    for line in output.splitlines():
        if line.startswith('ok '):
            results[line[3:].strip()] = ''
        elif line.startswith('FAIL '):
            name, _, reason = line[5:].partition(':')
            results[name] = reason.strip()
    return results


def on_host(directory: str) -> dict[str, str]:
    done = subprocess.run([SUITE, directory], capture_output=True, text=True, check=False)
    return parse(done.stdout)


class Mode(typing.NamedTuple):
    title: str
    binary: str
    options: list[str]
    queues: int = 1


def in_guest(modes: list[Mode], directory: str) -> typing.Iterator[tuple[str, dict[str, str]]]:
    """Title and results of each mode: one guest with a share for each, mounted one after the other."""
    with contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(vm.Daemon(mode.binary, directory, '--xattr', '--modcaps=+sys_admin', *mode.options))
                   for mode in modes]
        shares = [vm.Share(f'share{number}', daemon.socket, mode.queues)
                  for number, (mode, daemon) in enumerate(zip(modes, daemons))]
        guest = stack.enter_context(vm.Guest(shares, extra={'/bin/posix_suite': SUITE}))
        for mode, daemon, share in zip(modes, daemons, shares):
            guest.run(f'mount -t virtiofs {share.tag} /mnt')
            results = parse(guest.run('posix_suite /mnt', timeout=480, check=False))
            guest.run('umount /mnt')
            if daemon.process.poll() is not None:
                results['daemon lived'] = f'it ended: {daemon.log_text()}'
            yield mode.title, results


def differences(host: dict[str, str], guest: dict[str, str]) -> list[str]:
    faults = [f'{name}: not run in the guest' for name in host if name not in guest]
    faults += [f'{name}: {reason}' for name, reason in guest.items() if reason and not host.get(name)]
    return faults


def main() -> int:
    with tempfile.TemporaryDirectory(dir='/var/tmp', prefix='vfskit-posix-') as directory:
        host = on_host(directory)
        broken = [name for name, reason in host.items() if reason]
        if len(host) < 100 or broken:
            print(f'the suite does not hold on the host itself: {len(host)} cases, {broken}')
            return 1
        modes = [Mode(title, OURS, options) for title, options in MODES.items()]
        modes += [Mode('two request queues', OURS, [], queues=2),
                  Mode(COMPARISON, vm.peer_virtiofsd('sid'), [])]
        failed = False
        for title, results in in_guest(modes, directory):
            faults = differences(host, results)
            failed |= bool(faults) and title != COMPARISON
            print(f'{title}: {len(host) - len(faults)} of {len(host)} hold', *faults, sep='\n    ', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A share that was plugged in again after its daemon had died, and that has another filesystem mounted below it, moves by
every method, to and from upstream's daemon too.

Needs: root, QEMU, mounts, network for Debian's package of the peer.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import vm
from migration import OURS, PEERS, Traveller, peer

MEMORY = 256
# A daemon's own method says how the guest leaves it; fd-passing must be the next one's, too.
METHODS = ('find-paths', 'file-handles', 'fd-passing', 'fd-passing')


class PluggedTraveller(Traveller):
    """A guest whose share sits in a slot and can be taken out."""

    def make_guest(self, daemon: vm.Daemon, **options) -> vm.Guest:
        return vm.Guest([], image=self.image, memory=MEMORY, share_arguments=[
            '-m', f'{MEMORY}M', '-machine', 'memory-backend=mem',
            '-object', f'memory-backend-memfd,id=mem,size={MEMORY}M,share=on',
            '-device', 'pcie-root-port,id=rp0,chassis=1,addr=4',
            '-chardev', f'socket,id=fs,path={daemon.socket}',
            '-device', 'vhost-user-fs-pci,id=share,bus=rp0,chardev=fs,tag=s,queue-size=1024'], **options)

    def plug_anew(self, binary: str, share, *options: str):
        """The daemon dies; the administrator takes the share out and gives it another daemon."""
        # With the share mounted the guest's kernel would wait for an answer for good, as it does with every daemon.
        self.run('umount /mnt')
        os.kill(self.daemon.serving_pid(), 9)
        self.daemon.wait()
        self.daemon.__exit__()
        self.daemon = None
        qmp = self.guest.qmp
        qmp.execute('device_del', id='share')
        self.wait_until(lambda: self.run('ls /sys/bus/virtio/devices') == '', 'the share does not go')
        self.wait_until(lambda: not any(peripheral['name'] == 'share' for peripheral in
                                        qmp.execute('qom-list', path='/machine/peripheral')), 'the share is still there')
        # QEMU ends the device a moment after its name is gone.
        self.wait_until(lambda: remove_chardev(qmp, 'fs'), 'the share holds its socket')
        self.daemon = self.make_daemon(binary, share, options)
        qmp.execute('chardev-add', id='fs', backend={'type': 'socket', 'data': {
            'addr': {'type': 'unix', 'data': {'path': self.daemon.socket}}, 'server': False}})
        qmp.execute('device_add', driver='vhost-user-fs-pci', id='share', bus='rp0', chardev='fs', tag='s',
                    **{'queue-size': 1024})
        self.wait_until(lambda: self.run('ls /sys/bus/virtio/devices') != '', 'the share does not come')
        self.wait_until(lambda: self.status_of('mount -t virtiofs s /mnt') == 0, 'the share cannot be mounted')

    @staticmethod
    def wait_until(condition, complaint: str):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, complaint
            time.sleep(0.2)


def remove_chardev(qmp: vm.Qmp, name: str) -> bool:
    """False while something uses it."""
    try:
        qmp.execute('chardev-remove', id=name)
    except vm.GuestError as error:
        if 'is busy' in str(error):
            return False
        raise
    return True


@contextlib.contextmanager
def tmpfs(directory: pathlib.Path):
    directory.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', directory], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', directory], check=True)


def opens_files_on_both(guest: Traveller):
    guest.run('''set -e; cd /mnt; echo outer >file; mkdir -p below/dir; echo inner >below/dir/file; cat below/dir/file
        [ "$(stat -c %d file)" != "$(stat -c %d below/dir/file)" ]
        for name in file below/dir/file; do ( exec sleep 9000 <>$name ) & echo $!; done >/tmp/holders; sleep 0.3''')


def has_them_still(guest: Traveller):
    said = guest.run('''set -e; echo 3 >/proc/sys/vm/drop_caches; cd /mnt; cat file below/dir/file
        for pid in $(cat /tmp/holders); do cat /proc/$pid/fd/0; done
        [ "$(stat -c %d file)" != "$(stat -c %d below/dir/file)" ]
        grep -c ' /mnt/below ' /proc/mounts
        echo new >below/dir/new; rm below/dir/new; ! ln file below/link 2>/dev/null''')
    assert said.split() == ['outer', 'inner', 'outer', 'inner', '1'], said


def main():
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, PluggedTraveller() as guest:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        with tmpfs(share / 'below'):
            guest.start(OURS, share, keeps=False)
            guest.plug_anew(OURS, share, f'--migration-mode={METHODS[0]}')
            print('plug_anew', flush=True)
            opens_files_on_both(guest)
            for method in METHODS[1:]:
                guest.move(OURS, share, f'--migration-mode={method}')
                has_them_still(guest)
                print(f'has_them_still, the next one by {method}', flush=True)
            for version in PEERS:
                for binary in (peer(version), OURS):
                    guest.move(binary, share)
                    has_them_still(guest)
                print(f'has_them_still, to {version} and back', flush=True)


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

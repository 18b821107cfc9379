#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest is saved to a file, its host forgets it, and it goes on from the file: libvirt's managedsave.

Needs: root, QEMU.
"""
import os
import pathlib
import sys
import tempfile
import time

import vm
from migration import OURS, Traveller, wait_for_migration


def save(guest: Traveller, file: pathlib.Path):
    guest.guest.qmp.execute('stop')
    guest.guest.qmp.execute('migrate', uri=f'exec:cat >{file}')
    assert wait_for_migration(guest.guest) == 'completed'
    guest.guest.__exit__()
    assert guest.daemon.wait() == 0
    guest.daemon.__exit__()


def restore(guest: Traveller, file: pathlib.Path, share: pathlib.Path):
    guest.daemon = vm.Daemon(OURS, share)
    guest.guest = vm.Guest([vm.Share('s', guest.daemon.socket)], image=guest.image, incoming='defer')
    guest.guest.qmp.execute('migrate-incoming', uri=f'exec:cat {file}')
    deadline = time.monotonic() + 60
    while guest.guest.qmp.execute('query-status')['status'] == 'inmigrate':
        assert time.monotonic() < deadline, 'the saved guest was not loaded'
        time.sleep(0.1)
    guest.guest.qmp.execute('cont')
    guest.check_running()


def main():
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller() as guest:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        guest.start(OURS, share)
        for number in range(2):
            file = pathlib.Path(directory) / f'saved{number}'
            save(guest, file)
            restore(guest, file, share)
        guest.end([share])


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

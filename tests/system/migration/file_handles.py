#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Migration by file handles: only to the same directory, which the destination must be sure of.

Needs: root, QEMU, a filesystem with file handles below /var/tmp, network for Debian's package of the peer.
"""
import os
import pathlib
import shutil
import sys
import tempfile

from migration import OURS, Traveller, peer

HANDLES = ('--migration-mode=file-handles', '--inode-file-handles=prefer')


def opens_what_paths_cannot(guest: Traveller, share: pathlib.Path):
    """Moved by the host and deleted by the guest: both are still the same files."""
    guest.run('''mkdir -p /mnt/dir/sub /mnt/elsewhere; echo moved >/mnt/dir/sub/file; echo deleted >/mnt/deleted
        sleep 900 </mnt/dir/sub/file & echo $! >/tmp/moved
        sleep 900 </mnt/deleted & echo $! >/tmp/deleted
        sleep 0.2; rm /mnt/deleted''')
    (share / 'dir/sub/file').rename(share / 'elsewhere/other')
    guest.move(OURS, share, *HANDLES)
    for name in ('moved', 'deleted'):
        assert guest.run(f'cat /proc/$(cat /tmp/{name})/fd/0') == f'{name}\n'
    guest.run('kill $(cat /tmp/deleted) $(cat /tmp/moved)')
    (share / 'elsewhere/other').rename(share / 'dir/sub/file')


def refuses_another_directory(guest: Traveller, share: pathlib.Path):
    """Of the same filesystem, where the source's handles open just as well."""
    copy = share.parent / 'copy'
    shutil.copytree(share, copy)
    log = guest.must_stay(OURS, copy, *HANDLES)
    assert 'not proved to be the source' in log and 'find-paths' in log, log
    assert 'not proved' in guest.must_stay(OURS, share.parent, *HANDLES)
    assert 'not proved' in guest.must_stay(OURS, share / 'dir', *HANDLES)
    guest.run('ls /mnt/dir/sub >/dev/null && touch /mnt/still-here')
    assert not (copy / 'still-here').exists()


def goes_to_upstream_and_back(guest: Traveller, share: pathlib.Path, version: str):
    theirs = peer(version)
    guest.move(theirs, share, *HANDLES)
    guest.run('cat /mnt/dir/sub/file >/dev/null')
    # Their stream says nothing about the directory; what was loaded has to prove it.
    for other in (share.parent / 'copy', share.parent, share / 'dir'):
        log = guest.must_stay(OURS, other, *HANDLES)
        assert 'not proved' in log or 'is not here' in log, log
    guest.move(OURS, share, *HANDLES)
    guest.run('cat /mnt/dir/sub/file >/dev/null')


def goes_on_by_paths(guest: Traveller, share: pathlib.Path):
    """What came by handle knows its name for the next migration."""
    guest.move(OURS, share)
    guest.move(OURS, share)
    guest.run('cat /mnt/dir/sub/file && echo 3 >/proc/sys/vm/drop_caches && cat /mnt/dir/sub/file')


def main():
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller() as guest:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        guest.start(OURS, share, *HANDLES)
        opens_what_paths_cannot(guest, share)
        print('opens_what_paths_cannot', flush=True)
        refuses_another_directory(guest, share)
        print('refuses_another_directory', flush=True)
        for version in ('1.14.0', '1.13.2'):
            goes_to_upstream_and_back(guest, share, version)
            print('goes_to_upstream_and_back', version, flush=True)
        goes_on_by_paths(guest, share)
        guest.end([share])


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

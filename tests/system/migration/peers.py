#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest between our daemon and upstream's, in both directions, by both methods: in every situation that both know,
at every hop. Part of tools/test --long.

Needs: root, QEMU, a filesystem with file handles below /var/tmp, network for Debian's packages of the peers.
"""
import os
import pathlib
import sys
import tempfile

from migration import OURS, PEERS, Traveller, peer
from matrix import COMMON, Tour


def refuses_other_directory(tour: Tour, binary: str):
    """Upstream's daemon takes handles of another directory for its own: ours only."""
    if binary != OURS and not tour.by_paths:
        return
    other = tour.base / 'other'
    other.mkdir(exist_ok=True)
    tour.guest.must_stay(binary, other, *tour.options)
    tour.guest.ask_witness()


def refuses_missing_file(tour: Tour, binary: str):
    if not tour.by_paths:
        return
    copy = tour.copy()
    (copy / 'd1/kept').unlink()
    tour.guest.must_stay(binary, copy, *tour.options)
    tour.guest.ask_witness()
    assert tour.read_held('kept') == 'kept\n'


def moves_to_a_copy(tour: Tour, binary: str):
    if not tour.by_paths:
        return
    copy = tour.copy()
    tour.guest.move(binary, copy, *tour.options)
    tour.share = copy
    tour.guest.ask_witness(True)


def moves_what_was_renamed(tour: Tour, binary: str, number: int):
    tour.guest.run(f'cd /mnt && echo {number} >d2/old{number} && mv d2/old{number} d1/new{number} && mv d2 d && mv d d2')
    tour.hold(f'renamed{number}', f'd1/new{number}')
    tour.guest.move(binary, tour.share, *tour.options)
    tour.guest.ask_witness()
    for earlier in range(number + 1):
        assert tour.read_held(f'renamed{earlier}') == f'{earlier}\n'


def moves_what_is_deleted(tour: Tour, binary: str):
    """By handles only: the directories stay the same."""
    if tour.by_paths:
        return
    tour.guest.run('echo deleted >/mnt/d1/deleted')
    tour.hold('deleted', 'd1/deleted')
    tour.guest.run('rm /mnt/d1/deleted')
    tour.guest.move(binary, tour.share, *tour.options)
    assert tour.read_held('deleted') == 'deleted\n'
    tour.guest.run('kill $(cat /tmp/deleted)')
    tour.guest.ask_witness()


def main():
    for version in PEERS:
        theirs = peer(version)
        for method in ('find-paths', 'file-handles'):
            with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller() as guest:
                tour = Tour(guest, pathlib.Path(directory), method)
                tour.options = (*COMMON, f'--migration-mode={method}', '--inode-file-handles=prefer')
                guest.start(OURS, tour.share, *tour.options, keeps=False)
                guest.start_witness()
                guest.run('mkdir /mnt/d1 /mnt/d2; echo kept >/mnt/d1/kept')
                tour.hold('kept', 'd1/kept')
                for number, binary in enumerate((theirs, OURS, theirs, theirs, OURS, OURS)):
                    refuses_other_directory(tour, binary)
                    refuses_missing_file(tour, binary)
                    moves_what_was_renamed(tour, binary, number)
                    moves_to_a_copy(tour, binary)
                    moves_what_is_deleted(tour, binary)
                    print(f'{version} {method}: arrived at hop {number}, '
                          f'{"ours" if binary == OURS else "theirs"}', flush=True)


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

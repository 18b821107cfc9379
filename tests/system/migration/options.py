#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was agreed when the guest mounted holds at the destination too: ACLs, groups, writeback, several queues, and
what the guest has mapped and writes while it moves.
A destination that was not given what the guest relies on refuses.

Needs: root, QEMU.
"""
import array
import os
import pathlib
import re
import sys
import tempfile

from migration import OURS, Traveller

ALL = ('--writeback', '--posix-acl=always', '--cache=always', '--allow-mmap', '--killpriv-v2', '--thread-pool-size=2')


def honours_supplementary_groups(guest: Traveller, number: int):
    guest.run(f'''set -e; cd /mnt; mkdir group{number}; chgrp 2000 group{number}; chmod 2770 group{number}
        su user -c 'mkdir /mnt/group{number}/a && touch /mnt/group{number}/b' ''')


def moves_under_load(guest: Traveller, share: pathlib.Path):
    guest.run(r'''cd /mnt; dd if=/dev/urandom of=/tmp/data bs=64k count=160 2>/dev/null
        ( while [ ! -e /tmp/enough ]; do cp /tmp/data load && cmp load /tmp/data && mv load done || exit 1; done
          sync; echo 3 >/proc/sys/vm/drop_caches; cmp done /tmp/data && echo same ) >/tmp/load.log 2>&1 &
        echo $! >/tmp/load.pid
        keeper /mnt/mapped /tmp/enough mmap >/tmp/mapped.log 2>&1 & echo $! >/tmp/mapped.pid''')
    for _ in range(3):
        guest.move(OURS, share, *ALL)
    said = guest.run('touch /tmp/enough; for pid in $(cat /tmp/load.pid /tmp/mapped.pid); do '
                     'while kill -0 $pid 2>/dev/null; do sleep 0.1; done; done; cat /tmp/load.log /tmp/mapped.log',
                     timeout=120)
    assert re.fullmatch(r'same\nkept [1-9]\d* mapped numbers\n', said), said
    numbers = array.array('Q', (share / 'mapped').read_bytes())
    assert max(numbers) == int(said.split()[2]), 'the host has not what the guest mapped'


def refuses_less(guest: Traveller, share: pathlib.Path):
    for missing in ('--writeback', '--posix-acl=always'):
        log = guest.must_stay(OURS, share, *(option for option in ALL if option != missing))
        assert missing.split('=')[0] in log, log


def main():
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller(queues=3) as guest:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        guest.start(OURS, share, *ALL)
        honours_supplementary_groups(guest, 0)
        for step in (refuses_less, moves_under_load):
            step(guest, share)
            print(step.__name__, flush=True)
        honours_supplementary_groups(guest, 1)
        guest.end([share])


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

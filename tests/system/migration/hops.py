#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest goes from daemon to daemon, ours and upstream's, and its files stay what they were.

Needs: root, QEMU, network for Debian's packages of the peers.
"""
import os
import pathlib
import sys
import tempfile

from migration import OURS, Traveller, peer

# Files that are open while the guest travels: one only for reading, one only for writing, a directory, one that
# is in a directory of its own; one that is mapped.
OPEN = '''
mkdir -p /mnt/dir/sub && cd /mnt/dir
echo before >read-only && echo before >sub/deep && echo first >write-only
( exec 5<read-only 6>>write-only 7<sub/deep 8<. ; echo $BASHPID >/dev/null
  while [ ! -e /tmp/check ]; do sleep 0.1; done
  read a <&5; read b <&7; echo second >&6; echo "$a $b"; ls /proc/self/fd/8/ | tr '\\n' ' ' ) >/tmp/open.log 2>&1 &
echo $! >/tmp/open.pid
sleep 0.5
'''
CLOSE = '''
touch /tmp/check; while kill -0 $(cat /tmp/open.pid) 2>/dev/null; do sleep 0.1; done
cat /tmp/open.log; rm /tmp/check
'''


def holds_files_open(guest: Traveller):
    guest.run(OPEN)


def finds_them_again(guest: Traveller):
    said = guest.run(CLOSE)
    assert said.startswith('before before'), said
    assert 'sub' in said.split() and 'read-only' in said.split(), said
    assert guest.run('cat /mnt/dir/write-only').split() == ['first', 'second']


def changes_names(guest: Traveller, share: pathlib.Path, number: int):
    """Names that the guest changed since it was mounted must be right in the next stream."""
    guest.run(f'''set -e; cd /mnt
        mkdir -p tree{number}/a/b && echo content >tree{number}/a/b/file && exec 5<tree{number}/a/b/file
        mv tree{number}/a/b/file tree{number}/moved && mv tree{number} renamed{number}
        echo other >over{number} && echo new >new{number} && mv new{number} over{number}
        ln -sf moved renamed{number}/link && ln renamed{number}/moved renamed{number}/hard
        chmod 640 renamed{number}/moved && stat -c '%a %s %h' renamed{number}/moved >/tmp/stat{number}''')
    assert (share / f'over{number}').read_text() == 'new\n'


def keeps_names(guest: Traveller, number: int):
    guest.run(f'''set -e; cd /mnt
        [ "$(cat renamed{number}/moved)" = content ] && [ "$(cat renamed{number}/link)" = content ]
        [ "$(cat over{number})" = new ] && [ "$(stat -c '%a %s %h' renamed{number}/moved)" = "$(cat /tmp/stat{number})" ]
        touch renamed{number}/after''')


def main():
    ours, newer, older = OURS, peer('1.14.0'), peer('1.13.2')
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller() as guest:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        guest.start(ours, share)
        for number, binary in enumerate([ours, newer, ours, older, ours]):
            changes_names(guest, share, number)
            holds_files_open(guest)
            guest.move(binary, share)
            finds_them_again(guest)
            for earlier in range(number + 1):
                keeps_names(guest, earlier)
            print(f'arrived at hop {number}: {binary}', flush=True)
        guest.end([share])


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every method of migration in every situation: where the guest must arrive, where it must stay, and that
what it has is the same afterwards, as a witness in the guest says who holds files open in every way.

    matrix.py [METHOD...]     find-paths, file-handles, fd-passing; all of them without an argument

One guest per method goes from situation to situation; the last one takes its daemon away.
Needs: root, QEMU, a filesystem with file handles below /var/tmp.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import vm
from migration import OURS, Traveller, start_migration, wait_for_migration

COMMON = ('--xattr', '--allow-direct-io')
SLOW = 1 << 20  # bytes a second: long enough for something to happen on the way
FAST = 1 << 30
# What each method says of a directory that is another.
ANOTHER = {'find-paths': 'is not here', 'file-handles': 'not proved to be the source',
           'fd-passing': "is another than the source's"}


def begin_slowly(guest: Traveller, destination: vm.Guest):
    """Gives back when the source's daemon knows of the migration and has had time to prepare itself."""
    start_migration(guest.guest, destination, bandwidth=SLOW)
    deadline = time.monotonic() + 30
    while guest.guest.qmp.execute('query-migrate').get('ram', {}).get('transferred', 0) == 0:
        assert time.monotonic() < deadline, guest.guest.qmp.execute('query-migrate')
        time.sleep(0.05)
    time.sleep(0.3)


class Tour:
    """One guest, one method, and the directory that it is served from now."""

    def __init__(self, guest: Traveller, base: pathlib.Path, method: str):
        self.guest = guest
        self.base = base
        self.method = method
        self.share = base / 'share'
        self.share.mkdir()
        self.copies = 0
        self.options = (*COMMON, f'--migration-mode={method}')

    def begin(self):
        self.guest.start(OURS, self.share, *self.options, keeps=False)
        self.guest.start_witness()
        # What the situations need, made early so that each migration carries all of it.
        self.guest.run(r'''set -e; cd /mnt; mkdir d1 d2; d=$(printf 'odd\377'); mkdir "$d"; echo odd >"$d/name"
            echo renamed >d1/name; echo missing >d1/missing; echo unlinked >d1/unlinked; echo other >d1/other
            echo kept >d1/kept''')
        self.hold('kept', 'd1/kept')
        self.hold('odd', r'''"$(printf 'odd\377')"/name''')

    @property
    def by_paths(self) -> bool:
        return self.method == 'find-paths'

    def hold(self, name: str, path: str):
        """A process in the guest that has the file open."""
        self.guest.run(f'(cd /mnt && exec 5<{path} || exit 1; cd /; sleep 9000 <&5 5<&- & echo $! >/tmp/{name})')

    def read_held(self, name: str) -> str:
        return self.guest.run(f'cat /proc/$(cat /tmp/{name})/fd/0 2>&1', check=False)

    def copy(self) -> pathlib.Path:
        self.guest.run('sync')
        self.copies += 1
        copy = self.base / f'copy{self.copies}'
        subprocess.run(['cp', '-a', self.share, copy], check=True)
        return copy

    def move(self, share=None, *more: str):
        is_copy = share is not None
        self.guest.move(OURS, share or self.share, *self.options, *more)
        self.share = share or self.share
        self.guest.ask_witness(is_copy)

    def must_stay(self, share, reason: str, *more: str):
        log = self.guest.must_stay(OURS, share, *self.options, *more)
        assert reason in log, f'{reason!r} is not in\n{log}'
        self.guest.ask_witness()

    def on_the_way(self, act, *more: str) -> str:
        """Does something while a migration to a daemon of the same directory is under way; how it ended."""
        guest = self.guest
        with vm.Daemon(OURS, self.share, *self.options, *more) as daemon, vm.Guest(
                [guest.share_of(daemon)], image=guest.image, incoming='defer') as destination:
            begin_slowly(guest, destination)
            act(daemon, destination)
            guest.guest.qmp.execute('migrate-set-parameters', **{'max-bandwidth': FAST})
            return wait_for_migration(guest.guest)


# Each situation answers with what happened, for the table.

def same_directory(tour: Tour) -> str:
    for _ in range(2):
        tour.move()
    return 'moves, twice'


def replica(tour: Tour) -> str:
    copy = tour.copy()
    if tour.by_paths:
        tour.move(copy)
        return 'moves'
    tour.must_stay(copy, ANOTHER[tour.method])
    return 'stays'


def other_directory(tour: Tour) -> str:
    """Of the same filesystem, with other files."""
    other = tour.base / 'other'
    (other / 'd1').mkdir(parents=True)
    tour.must_stay(other, ANOTHER[tour.method])
    return 'stays'


def renamed_by_the_guest(tour: Tour) -> str:
    tour.hold('renamed', 'd1/name')
    tour.guest.run('cd /mnt && mv d1/name d2/new && mv d2 d3 && mkdir d2')
    tour.move()
    assert tour.read_held('renamed') == 'renamed\n' and tour.guest.run('cat /mnt/d3/new') == 'renamed\n'
    return 'moves'


def name_that_is_not_utf8(tour: Tour) -> str:
    tour.move()
    assert tour.read_held('odd') == 'odd\n'
    assert tour.guest.run(r'''cat "$(printf '/mnt/odd\377/name')"''') == 'odd\n'
    return 'moves'


def renamed_on_the_host(tour: Tour) -> str:
    """Before the migration begins."""
    tour.hold('outside', 'd1/other')
    (tour.share / 'd1/other').rename(tour.share / 'd2/other')
    tour.move()
    assert tour.read_held('outside') == 'other\n'
    return 'moves'


def renamed_on_the_host_on_the_way(tour: Tour) -> str:
    """When the places have been checked already: it does not matter where file handles help, or the destination
    notices."""
    # An open file: the guest knows its directory as long.
    here, there = tour.share / 'd1/kept', tour.share / 'd2/kept'
    guest = tour.guest

    def rename_on_the_way_to(*more: str):
        daemon, destination = guest.arrive(OURS, tour.share, [*tour.options, *more])
        begin_slowly(guest, destination)
        here.rename(there)
        guest.guest.qmp.execute('migrate-set-parameters', **{'max-bandwidth': FAST})
        assert wait_for_migration(guest.guest) == 'completed', guest.daemon.log_text() + daemon.log_text()
        guest.settle(daemon, destination)
        guest.ask_witness()
        assert tour.read_held('kept') == 'kept\n'

    rename_on_the_way_to()
    if not tour.by_paths:
        return 'moves'
    there.rename(here)
    by_names_only = '--inode-file-handles=never'
    assert tour.on_the_way(lambda *_: here.rename(there), by_names_only) == 'failed'
    guest.check_running()
    guest.ask_witness()
    assert tour.read_held('kept') == 'kept\n'
    there.rename(here)
    # The daemon that has the guest now compares again when the guest stands still.
    tour.move(None, '--migration-confirm-paths')
    rename_on_the_way_to(by_names_only)
    return 'moves; stays where handles do not help, and moves there with --migration-confirm-paths'


def missing_file(tour: Tour) -> str:
    """The guest has looked at it; at the destination it is not there."""
    tour.hold('missing', 'd1/missing')
    if not tour.by_paths:
        (tour.share / 'd1/missing').unlink()
        tour.move()
        assert tour.read_held('missing') == 'missing\n'
        return 'moves: the handle still opens it'
    copy = tour.copy()
    (copy / 'd1/missing').unlink()
    tour.must_stay(copy, "'d1/missing'")
    assert tour.read_held('missing') == 'missing\n'
    copy = tour.copy()  # the guest has worked on
    (copy / 'd1/missing').unlink()
    tour.move(copy, '--migration-on-error=guest-error')
    assert 'rror' in tour.read_held('missing')
    tour.guest.run('kill $(cat /tmp/missing); cat /mnt/d3/new >/dev/null')
    tour.guest.ask_witness()  # which makes the guest forget the lost file: it would not be found next time either
    return 'stays, named; moves with guest-error'


def unlinked_open_file(tour: Tour) -> str:
    tour.hold('unlinked', 'd1/unlinked')
    tour.guest.run('rm /mnt/d1/unlinked')
    if tour.by_paths:
        copy = tour.copy()
        tour.must_stay(copy, 'no name')
        assert tour.read_held('unlinked') == 'unlinked\n'
    tour.move()
    assert tour.read_held('unlinked') == 'unlinked\n'
    return 'moves; stays if the destination has a copy' if tour.by_paths else 'moves'


def cancelled(tour: Tour) -> str:
    def act(*_):
        tour.guest.run('mkdir /mnt/while && mv /mnt/while /mnt/cancelled')
        tour.guest.guest.qmp.execute('migrate_cancel')

    assert tour.on_the_way(act) == 'cancelled'
    tour.guest.check_running()
    tour.guest.ask_witness()
    tour.move()
    tour.guest.run('rmdir /mnt/cancelled')
    return 'stays; the next try moves'


def destination_daemon_dies(tour: Tour) -> str:
    assert tour.on_the_way(lambda daemon, _: daemon.close()) == 'failed'
    tour.guest.check_running()
    tour.guest.ask_witness()
    return 'stays'


def destination_qemu_dies(tour: Tour) -> str:
    assert tour.on_the_way(lambda _, destination: destination.close()) == 'failed'
    tour.guest.check_running()
    tour.guest.ask_witness()
    tour.move()
    return 'stays; the next try moves'


def source_daemon_dies(tour: Tour) -> str:
    """The guest must not arrive without its files; it goes on at the source, without its share there."""
    assert tour.on_the_way(lambda *_: os.kill(tour.guest.daemon.serving_pid(), 9)) != 'completed'
    tour.guest.check_running()
    return 'stays'


SITUATIONS = [same_directory, replica, other_directory, renamed_by_the_guest, name_that_is_not_utf8,
              renamed_on_the_host, renamed_on_the_host_on_the_way, missing_file, unlinked_open_file,
              cancelled, destination_daemon_dies, destination_qemu_dies, source_daemon_dies]


def main():
    for method in sys.argv[1:] or ('find-paths', 'file-handles', 'fd-passing'):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Traveller() as guest:
            tour = Tour(guest, pathlib.Path(directory), method)
            tour.begin()
            for situation in SITUATIONS:
                started = time.monotonic()
                outcome = situation(tour)
                print(f'{method:<13} {situation.__name__.replace("_", " "):<32} {outcome} '
                      f'({time.monotonic() - started:.0f} s)', flush=True)


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

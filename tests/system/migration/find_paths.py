#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Migration by paths: to a copy of the directory, and with files that are gone, renamed, oddly named or deleted.
What is refused leaves the guest running at the source, ready for the next try.

Needs: root, QEMU, network for Debian's package of the peer.
"""
import os
import pathlib
import shutil
import sys
import tempfile

import vm
from migration import OURS, Traveller, migrate, peer, start_migration, wait_for_migration

GUEST_ERROR = '--migration-on-error=guest-error'


def copy_of(share: pathlib.Path, name: str) -> pathlib.Path:
    copy = share.parent / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(share, copy, symlinks=True)
    return copy


def moves_to_a_copy(guest: Traveller, share: pathlib.Path) -> pathlib.Path:
    guest.run('mkdir -p /mnt/dir && echo here >/mnt/dir/file && exec 5</mnt/dir/file && sync')
    copy = copy_of(share, 'copy')
    (copy / 'dir/file').write_text('there\n')
    guest.move(OURS, copy)
    assert guest.run('echo 3 >/proc/sys/vm/drop_caches; cat /mnt/dir/file') == 'there\n'
    return copy


def refuses_what_is_missing(guest: Traveller, share: pathlib.Path):
    guest.run('echo x >/mnt/dir/gone; exec 5</mnt/dir/gone; sleep 600 <&5 & echo $! >/tmp/holder; sync')
    copy = copy_of(share, 'incomplete')
    (copy / 'dir/gone').unlink()
    log = guest.must_stay(OURS, copy)
    assert "'dir/gone'" in log and 'guest-error' in log, log
    assert guest.run('cat /mnt/dir/gone') == 'x\n'


def refuses_links_out_of_the_share(guest: Traveller, share: pathlib.Path):
    copy = copy_of(share, 'linked')
    shutil.move(copy / 'dir', share.parent / 'outside')
    (copy / 'dir').symlink_to(share.parent / 'outside')
    log = guest.must_stay(OURS, copy, '--sandbox=none')
    assert "'dir/" in log, log


def refuses_another_file_where_handles_are_verified(guest: Traveller, share: pathlib.Path):
    """The source sends handles only if told so: hop to a daemon that is."""
    guest.move(OURS, share, '--migration-verify-handles')
    log = guest.must_stay(OURS, copy_of(share, 'verified'))
    assert 'file handle is another' in log, log
    guest.move(OURS, share)


def follows_a_rename_from_outside(guest: Traveller, share: pathlib.Path):
    guest.run('mkdir -p /mnt/d1 /mnt/d2; echo y >/mnt/d1/name; exec 5</mnt/d1/name; sleep 600 <&5 & '
              'echo $! >/tmp/renamed')
    (share / 'd1/name').rename(share / 'd2/other')
    guest.move(OURS, share)
    assert guest.run('cat /proc/$(cat /tmp/renamed)/fd/0') == 'y\n'


def finds_the_other_name(guest: Traveller, share: pathlib.Path):
    """As maildirs and git write: link the finished file to its name, then remove the first one."""
    guest.run('mkdir -p /mnt/box && echo mail >/mnt/box/tmp && ln /mnt/box/tmp /mnt/box/cur && cat /mnt/box/cur && '
              '( exec sleep 600 </mnt/box/cur ) & sleep 0.3; echo $! >/tmp/mail; rm /mnt/box/tmp')
    guest.move(OURS, share)
    assert guest.run('cat /mnt/box/cur /proc/$(cat /tmp/mail)/fd/0') == 'mail\nmail\n'


def brings_names_that_are_not_utf8(guest: Traveller, share: pathlib.Path):
    guest.run(r'''cd /mnt; d=$(printf 'd\377'); mkdir "$d"; echo z >"$d/plain"; cd /
        ( cd "/mnt/$d"; sleep 600 <plain ) & sleep 0.3; pidof sleep | tr ' ' '\n' | head -n 1 >/tmp/odd''')
    refusal = guest.must_stay(peer('1.14.0'), share)
    assert 'virtiofsd' in refusal, refusal
    guest.move(OURS, share)
    assert guest.run(r'''cat "$(printf '/mnt/d\377/plain')" /proc/$(cat /tmp/odd)/fd/0''') == 'z\nz\n'


def survives_cancelling(guest: Traveller, share: pathlib.Path):
    with vm.Daemon(OURS, share) as daemon, vm.Guest([vm.Share('s', daemon.socket)], image=guest.image,
                                                    incoming='defer') as destination:
        start_migration(guest.guest, destination, bandwidth=1 << 20)
        guest.run('sleep 0.5; mkdir -p /mnt/while && mv /mnt/while /mnt/cancelled')
        guest.guest.qmp.execute('migrate_cancel')
        assert wait_for_migration(guest.guest) == 'cancelled'
    guest.check_running()
    guest.move(OURS, share)
    guest.run('rmdir /mnt/cancelled')


def survives_a_dead_destination(guest: Traveller, share: pathlib.Path):
    daemon = vm.Daemon(OURS, share)
    with vm.Guest([vm.Share('s', daemon.socket)], image=guest.image, incoming='defer') as destination:
        daemon.__exit__()
        assert migrate(guest.guest, destination) == 'failed'
    guest.check_running()


def refuses_to_lose_a_lock(guest: Traveller, share: pathlib.Path):
    locks = ('--flock', '--posix-lock')
    with Traveller() as other:
        other.start(OURS, share, *locks, keeps=False)
        for kind in ('flock', 'posix'):
            other.run(f'''rm -f /tmp/unlock; keeper /mnt/locked /tmp/unlock {kind} >/tmp/lock.log &
                while ! grep -q locked /tmp/lock.log; do sleep 0.1; done''')
            other.must_stay(OURS, share, *locks)
            assert 'holds 1 file locks' in other.daemon.log_text(), other.daemon.log_text()
            other.run('touch /tmp/unlock; while pidof keeper >/dev/null; do sleep 0.1; done')
        other.move(OURS, share, *locks)


def brings_nameless_files_to_the_same_directory(guest: Traveller, share: pathlib.Path):
    """By their file handles, which only a daemon of ours reads; elsewhere they are what they are: without a name."""
    guest.run('echo u >/mnt/unlinked; exec 5<>/mnt/unlinked; sleep 600 <&5 & echo $! >/tmp/unlinked; '
              'sleep 0.2; rm /mnt/unlinked')
    log = guest.must_stay(OURS, copy_of(share, 'nameless'))
    assert 'not proved to be the source' in log, log
    assert 'deleted' in guest.daemon.log_text(), guest.daemon.log_text()
    guest.must_stay(peer('1.14.0'), share)
    guest.move(OURS, share)
    assert guest.run('echo 3 >/proc/sys/vm/drop_caches; echo v >>/proc/$(cat /tmp/unlinked)/fd/0; '
                     'cat /proc/$(cat /tmp/unlinked)/fd/0') == 'u\nv\n'


def keeps_what_has_a_name_when_another_has_none(guest: Traveller, share: pathlib.Path):
    no_handles = (GUEST_ERROR, '--inode-file-handles=never')
    guest.move(OURS, share, *no_handles)
    said = guest.run('echo 3 >/proc/sys/vm/drop_caches; cat /proc/$(cat /tmp/unlinked)/fd/0', check=False)
    assert 'I/O error' in said or 'error' in said.lower(), said


def main():
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        with Traveller() as guest:
            guest.start(OURS, share, keeps=False)
            copy = moves_to_a_copy(guest, share)
            for step in (refuses_what_is_missing, refuses_links_out_of_the_share,
                         refuses_another_file_where_handles_are_verified):
                step(guest, copy)
                print(step.__name__, flush=True)
        with Traveller() as guest:
            guest.start(OURS, share)
            for step in (follows_a_rename_from_outside, finds_the_other_name, brings_names_that_are_not_utf8,
                         survives_cancelling, survives_a_dead_destination, refuses_to_lose_a_lock,
                         brings_nameless_files_to_the_same_directory,
                         keeps_what_has_a_name_when_another_has_none):
                step(guest, share)
                print(step.__name__, flush=True)
            guest.end([share])


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

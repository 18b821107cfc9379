#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Migration within one host by passing open descriptors: what has no name any more, or not the one it had, goes along,
and so do locks. What is refused leaves the guest running at the source, ready for the next try.

Needs: root, QEMU, network for Debian's package of the peer.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import vm
from migration import OURS, PEERS, Traveller, migrate, peer, start_migration, wait_for_migration

PASSING = ('--migration-mode=fd-passing',)
LOCKS = ('--posix-lock', '--flock')


def open_in_guest(guest: Traveller, name: str, text: str):
    """A process that holds /mnt/NAME open; its pid is in /tmp/NAME.pid."""
    guest.run(f'echo {text} >/mnt/{name}; ( exec sleep 900 <>/mnt/{name} ) & echo $! >/tmp/{name}.pid; sleep 0.2')


def read_open(guest: Traveller, name: str) -> str:
    return guest.run(f'echo 3 >/proc/sys/vm/drop_caches; cat /proc/$(cat /tmp/{name}.pid)/fd/0')


def close_in_guest(guest: Traveller, *names: str):
    guest.run('; '.join(f'kill $(cat /tmp/{name}.pid)' for name in names))


def brings_deleted_files(guest: Traveller, share: pathlib.Path):
    open_in_guest(guest, 'deleted', 'deleted')
    guest.run('rm /mnt/deleted')
    guest.move(OURS, share, *PASSING, *LOCKS)
    assert read_open(guest, 'deleted') == 'deleted\n'
    guest.run('echo more >>/proc/$(cat /tmp/deleted.pid)/fd/0')
    guest.move(OURS, share, *PASSING, *LOCKS)
    assert read_open(guest, 'deleted') == 'deleted\nmore\n'
    close_in_guest(guest, 'deleted')


def brings_what_the_host_moved_or_replaced(guest: Traveller, share: pathlib.Path):
    for name in ('left', 'replaced'):
        open_in_guest(guest, name, name)
    (share / 'left').rename(share.parent / 'left')
    (share / 'new').write_text('new\n')
    (share / 'new').rename(share / 'replaced')
    guest.move(OURS, share, *PASSING, *LOCKS)
    assert read_open(guest, 'left') == 'left\n'
    assert read_open(guest, 'replaced') == 'replaced\n'
    assert guest.run('cat /mnt/replaced') == 'new\n'
    close_in_guest(guest, 'left', 'replaced')
    guest.run('sleep 0.2; cat /mnt/left 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches')  # the guest forgets it


def brings_files_that_cannot_be_opened_again(guest: Traveller, share: pathlib.Path):
    """Somebody on the host took the permissions away, and the daemon is bound by them. Read through what was open."""
    bound = ('--modcaps=-dac_override', '--inode-file-handles=never')
    guest.run('''echo secret >/mnt/forbidden; rm -f /tmp/go /tmp/out
        ( exec 5<>/mnt/forbidden; while [ ! -e /tmp/go ]; do sleep 0.1; done; cat <&5 >/tmp/out; echo new >&5; sync
          touch /tmp/done ) & sleep 0.3''')
    (share / 'forbidden').chmod(0)
    guest.move(OURS, share, *PASSING, *LOCKS, *bound)
    assert guest.status_of('cat /mnt/forbidden') != 0
    assert guest.run('touch /tmp/go; while [ ! -e /tmp/done ]; do sleep 0.1; done; cat /tmp/out') == 'secret\n'
    assert (share / 'forbidden').read_text() == 'secret\nnew\n'
    guest.move(OURS, share, *PASSING, *LOCKS)


def works_below_directories(guest: Traveller, share: pathlib.Path):
    """The destination's own mount is what names are looked up in, so links and renames stay possible."""
    guest.run('mkdir -p /mnt/d/e; echo x >/mnt/d/e/f; cd /mnt/d/e; sleep 900 & echo $! >/tmp/cwd.pid; cd /')
    guest.move(OURS, share, *PASSING, *LOCKS)
    guest.run('cd /proc/$(cat /tmp/cwd.pid)/cwd && ln f g && mv g /mnt/h && ls -la >/dev/null && '
              'cmp f /mnt/h && [ "$(grep -c virtiofs /proc/mounts)" = 1 ]')
    close_in_guest(guest, 'cwd')


def moves_locks(guest: Traveller, share: pathlib.Path):
    for kind, version in zip(('flock', 'posix'), PEERS):
        guest.run(f'''rm -f /tmp/unlock; keeper /mnt/locked-{kind} /tmp/unlock {kind} >/tmp/lock.log &
            while ! grep -q locked /tmp/lock.log; do sleep 0.1; done''')
        guest.must_stay(OURS, share, *LOCKS)
        assert not is_lockable(share / f'locked-{kind}', kind)
        guest.must_stay(peer(version), share)
        guest.move(OURS, share, *PASSING, *LOCKS)
        assert not is_lockable(share / f'locked-{kind}', kind)
        guest.run('touch /tmp/unlock; while pidof keeper | grep -qv "^$(cat /tmp/keeper.pid)$"; do sleep 0.1; done')
        assert is_lockable(share / f'locked-{kind}', kind)


def is_lockable(path: pathlib.Path, kind: str) -> bool:
    take = {'flock': 'fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)',
            'posix': 'fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)'}[kind]
    return subprocess.run([sys.executable, '-c', f'import fcntl; f = open({str(path)!r}, "r+"); {take}'],
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def refuses_another_directory(guest: Traveller, share: pathlib.Path):
    copy = share.parent / 'copy'
    shutil.copytree(share, copy)
    log = guest.must_stay(OURS, copy, *PASSING, *LOCKS)
    assert 'another than the source' in log and 'find-paths' in log, log


def refuses_where_the_source_is_out_of_reach(guest: Traveller, share: pathlib.Path):
    with tempfile.TemporaryDirectory(dir='/var/tmp') as elsewhere:
        log = guest.must_stay(OURS, share, *PASSING, *LOCKS, f'--migration-socket-dir={elsewhere}')
    assert 'cannot be reached' in log, log
    log = guest.must_stay(OURS, share, *LOCKS)
    assert '--migration-mode=fd-passing' in log, log


def refuses_another_host(guest: Traveller, share: pathlib.Path):
    """A boot id of its own is what tells another host; a mount over the file is as good as one."""
    script = ('echo 01234567-89ab-cdef-0123-456789abcdef >/run/other-boot; '
              'mount --bind /run/other-boot /proc/sys/kernel/random/boot_id; exec "$0" "$@"')
    with tempfile.NamedTemporaryFile('w', suffix='.sh', dir='/var/tmp', delete=False) as wrapper:
        wrapper.write(f'#!/bin/sh\nexec unshare -m --propagation private sh -c \'{script}\' {OURS} "$@"\n')
    try:
        os.chmod(wrapper.name, 0o755)
        log = guest.must_stay(wrapper.name, share, *PASSING, *LOCKS)
        assert 'another host' in log, log
    finally:
        os.unlink(wrapper.name)
        pathlib.Path('/run/other-boot').unlink(missing_ok=True)


def goes_to_upstream_by_paths(guest: Traveller, share: pathlib.Path):
    """Its stream is one that upstream reads, too; a file without a name stays its own policy's affair."""
    for version in PEERS:
        guest.move(peer(version), share)
        guest.move(OURS, share, *PASSING, *LOCKS)
    open_in_guest(guest, 'nameless', 'nameless')
    guest.run('rm /mnt/nameless')
    for version in PEERS:
        guest.must_stay(peer(version), share)
        assert read_open(guest, 'nameless') == 'nameless\n'
    guest.move(OURS, share, *PASSING, *LOCKS)
    assert read_open(guest, 'nameless') == 'nameless\n'
    close_in_guest(guest, 'nameless')


def survives_cancelling(guest: Traveller, share: pathlib.Path):
    open_in_guest(guest, 'kept-open', 'before')
    guest.run('rm /mnt/kept-open')
    with vm.Daemon(OURS, share, *PASSING, *LOCKS) as daemon, \
            vm.Guest([vm.Share('s', daemon.socket)], image=guest.image, incoming='defer') as destination:
        start_migration(guest.guest, destination, bandwidth=1 << 20)
        guest.run('sleep 0.5; mkdir -p /mnt/while && mv /mnt/while /mnt/cancelled')
        guest.guest.qmp.execute('migrate_cancel')
        assert wait_for_migration(guest.guest) == 'cancelled'
    guest.check_running()
    guest.move(OURS, share, *PASSING, *LOCKS)
    assert read_open(guest, 'kept-open') == 'before\n'
    close_in_guest(guest, 'kept-open')


def survives_a_dead_destination(guest: Traveller, share: pathlib.Path):
    daemon = vm.Daemon(OURS, share, *PASSING, *LOCKS)
    with vm.Guest([vm.Share('s', daemon.socket)], image=guest.image, incoming='defer') as destination:
        daemon.__exit__()
        assert migrate(guest.guest, destination) == 'failed'
    guest.check_running()


def waits_for_a_destination_that_needs_longer(guest: Traveller, share: pathlib.Path):
    """Without a return path the source's QEMU believes to be done, and is ended, before the destination has loaded."""
    open_in_guest(guest, 'unwaited', 'unwaited')
    guest.run('rm /mnt/unwaited')
    daemon = vm.Daemon(OURS, share, *PASSING, *LOCKS)
    destination = vm.Guest([vm.Share('s', daemon.socket)], image=guest.image, incoming='defer')
    uri = f'unix:{destination.directory}/migration'
    guest.guest.qmp.execute('migrate-set-parameters', **{'max-bandwidth': 1 << 30})
    for qemu in (guest.guest, destination):
        qemu.qmp.execute('migrate-set-capabilities', capabilities=[{'capability': 'return-path', 'state': False}])
    destination.qmp.execute('migrate-incoming', uri=uri)
    os.kill(daemon.serving_pid(), signal.SIGSTOP)  # it has not read its state when the source's QEMU ends
    guest.guest.qmp.execute('migrate', uri=uri)
    assert wait_for_migration(guest.guest) == 'completed'
    guest.guest.__exit__()
    os.kill(daemon.serving_pid(), signal.SIGCONT)
    assert guest.daemon.wait() == 0, guest.daemon.log_text()
    assert 'has the open descriptors' in guest.daemon.log_text(), guest.daemon.log_text()
    guest.daemon.__exit__()
    guest.daemon, guest.guest = daemon, destination
    guest.check_keeper()
    assert read_open(guest, 'unwaited') == 'unwaited\n'
    close_in_guest(guest, 'unwaited')


def leaves_nothing_behind(sockets: pathlib.Path):
    assert sorted(sockets.glob('*')) == [], 'a daemon left its migration socket'


def main():
    sandboxes = sys.argv[1:] or ('namespace', 'chroot', 'none')
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory:
        share = pathlib.Path(directory) / 'share'
        share.mkdir()
        with Traveller() as guest:
            guest.start(OURS, share, *PASSING, *LOCKS)
            for step in (brings_deleted_files, brings_what_the_host_moved_or_replaced,
                         brings_files_that_cannot_be_opened_again, works_below_directories, moves_locks,
                         refuses_another_directory, refuses_where_the_source_is_out_of_reach,
                         refuses_another_host, goes_to_upstream_by_paths, survives_cancelling,
                         survives_a_dead_destination, waits_for_a_destination_that_needs_longer):
                step(guest, share)
                print(step.__name__, flush=True)
            for sandbox in sandboxes:
                open_in_guest(guest, sandbox, sandbox)
                guest.run(f'rm /mnt/{sandbox}')
                guest.move(OURS, share, *PASSING, *LOCKS, f'--sandbox={sandbox}', '--inode-file-handles=never')
                assert read_open(guest, sandbox) == f'{sandbox}\n'
                print('sandbox', sandbox, flush=True)
            guest.end([share])
        leaves_nothing_behind(pathlib.Path('/run/vfskit-migration'))


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())

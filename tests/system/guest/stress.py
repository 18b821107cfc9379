#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stress-ng's filesystem stressors and fio's verifying writers, in a guest on a share.

Afterwards the daemon lives, holds no more descriptors than before, and has logged no error. VFSKIT_STRESS_SECONDS:
how long stress-ng runs in each round, 20 by default. VFSKIT_VIRTIOFSD judges any other daemon; upstream's has only
one request queue: VFSKIT_STRESS_ONE_QUEUE leaves out the second round.
Needs: root, QEMU.
"""
import os
import re
import sys
import tempfile
import time

import vm

DAEMON = os.environ['VFSKIT_VIRTIOFSD']
SECONDS = int(os.environ.get('VFSKIT_STRESS_SECONDS', '20'))
# What works on files through system calls, by hand: the class "filesystem" has some that stress only the guest's
# own pseudo filesystems or need a block device, and one at a time all of them would take minutes.
STRESSORS = ['access', 'acl', 'chattr', 'chdir', 'chmod', 'chown', 'close', 'copy-file', 'dentry', 'dir', 'dirdeep',
             'dirmany', 'dup', 'fallocate', 'fcntl', 'fiemap', 'file-ioctl', 'filename', 'flock', 'fpunch', 'fsize',
             'fstat', 'getdent', 'hdd', 'inode-flags', 'io', 'link', 'lockf', 'lockofd', 'metamix', 'open', 'rename',
             'seek', 'sendfile', 'symlink', 'sync-file', 'touch', 'unlink', 'utime', 'verity', 'xattr']
FIO = ('fio --name=work --directory=/mnt/fio --rw=randrw --bsrange=512-64k --size=4m --numjobs=3 --ioengine=psync '
       '--verify=crc32c --verify_fatal=1 --do_verify=1 --thread --group_reporting --end_fsync=1')


def stress(guest: vm.Guest) -> list[str]:
    """What stress-ng's verification found. Stressors that the guest's kernel lacks are left out by stress-ng."""
    each = max(1, SECONDS * 4 // len(STRESSORS))
    faults = []
    passed = 0
    end = time.monotonic() + SECONDS * 10
    for start in range(0, len(STRESSORS), 4):
        names = STRESSORS[start:start + 4]
        words = ' '.join(f'--{name} 1' for name in names)
        said = guest.run(f'cd /mnt/stress && stress-ng {words} --timeout {each}s --verify --temp-path /mnt/stress '
                         '--oomable --log-brief; echo "status $?"', timeout=120 + each * 20, check=False)
        status = int(re.search(r'status (\d+)', said).group(1))
        # 0 success, 3 no resources, 4 not implemented; 2 is a failed verification.
        if status not in (0, 3, 4):
            faults.append(f'stress-ng ended with {status}:\n' + said)
        passed += sum(int(number) for number in re.findall(r'passed: (\d+)', said))
        if time.monotonic() > end:
            faults.append(f'stopped after {names}: the share is far too slow')
            break
    if passed < len(STRESSORS) // 2:
        faults.append(f'only {passed} of {len(STRESSORS)} stressors ran')
    print(f'{passed} of {len(STRESSORS)} stressors passed', flush=True)
    return faults


def round_of_work(share: str, queues: int, *options: str) -> list[str]:
    programs = vm.packaged_programs(vm.KERNEL_SUITE, ['stress-ng', 'fio'], ['stress-ng', 'fio'])
    with vm.Daemon(DAEMON, share, '--xattr', *options) as daemon, \
            vm.Guest([vm.Share('share', daemon.socket, queues)], memory=1024, extra=programs) as guest:
        guest.run('mount -t virtiofs share /mnt && mkdir -p /mnt/stress /mnt/fio && umount /mnt')
        before = daemon.fd_count()
        guest.run('mount -t virtiofs share /mnt')
        faults = stress(guest)
        said = guest.run(FIO + '; echo "status $?"', timeout=300, check=False)
        if 'status 0' not in said:
            faults.append('fio: ' + said)
        guest.run('rm -rf /mnt/fio /mnt/stress; cd /; umount /mnt; echo 3 >/proc/sys/vm/drop_caches')
        if daemon.process.poll() is not None:
            return faults + [f'the daemon ended: {daemon.log_text()}']
        if daemon.fd_count() > before:
            faults.append(f'{daemon.fd_count()} descriptors are open, {before} were before')
        faults += [f'logged: {line}' for line in daemon.log_text().splitlines() if ' ERROR ' in line]
    return faults


def main() -> int:
    failed = False
    queue_counts = (1, 2) if 'VFSKIT_STRESS_ONE_QUEUE' not in os.environ else (1,)
    for queues in queue_counts:
        with tempfile.TemporaryDirectory(dir='/var/tmp', prefix='vfskit-stress-') as share:
            try:
                faults = round_of_work(share, queues)
            except vm.GuestError as error:
                faults = [str(error)]
        print(f'{queues} request queue(s): {"ok" if not faults else "FAIL"}', *faults, sep='\n    ', flush=True)
        failed |= bool(faults)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

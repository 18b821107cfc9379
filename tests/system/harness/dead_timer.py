#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest whose second CPU comes up with a dead timer, as TCG makes one now and then, is reset before a test uses it,
and the daemon it was started on serves it."""
import pathlib
import tempfile
import unittest

import vm
from migration import OURS

# Masks the local APIC's timer of CPU 1 (Intel SDM volume 3, "LVT Timer Register"), on the first boot only.
KILL_TIMER = r'''mount -t virtiofs s /mnt
[ -e /mnt/was-dead ] || { touch /mnt/was-dead; taskset 2 devmem 0xfee00320 32 0x100ec; }
umount /mnt
'''
START = 'mask=1\n'


class Guest(vm.Guest):
    def _command(self, *arguments):
        command = super()._command(*arguments)
        command[command.index('-append') + 1] += ' iomem=relaxed'
        return command


class DeadTimer(unittest.TestCase):
    def test_resets_the_machine(self):
        self.assertIn(START, vm.INIT)
        vm.INIT = vm.INIT.replace(START, KILL_TIMER + START)
        vm.BOOT_TIMEOUT = 60
        with tempfile.TemporaryDirectory(dir='/var/tmp') as share, vm.Daemon(OURS, share) as daemon, \
                Guest([vm.Share('s', daemon.socket)]) as guest:
            self.assertTrue((pathlib.Path(share) / 'was-dead').exists())
            guest.run('taskset 2 sleep 0.1; mount -t virtiofs s /mnt; echo here >/mnt/file')
            self.assertEqual((pathlib.Path(share) / 'file').read_text(), 'here\n')
            self.assertEqual(guest.process.poll(), None)


if __name__ == '__main__':
    unittest.main()

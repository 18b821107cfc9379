#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Needs: qemu-system-x86_64. Neither root nor KVM.
"""A real QEMU realizes vhost-user-fs-pci on our session and resets it, with few and many request queues.

The guest has nothing to boot: what is tried is the conversation of QEMU and the back-end. Upstream's daemon
ends at the first ring index beyond 1 and leaves QEMU with a dead device.
"""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import unittest

BACKEND = os.environ['VFSKIT_NULL_BACKEND']
DEADLINE = 30


def wait_for(path, process):
    end = time.monotonic() + DEADLINE
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f'{process.args[0]} did not make {path}')
        time.sleep(0.02)


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self.file = self.socket.makefile('rw')
        self.file.readline()
        self.command('qmp_capabilities')

    def command(self, name):
        self.file.write(json.dumps({'execute': name}) + '\n')
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if 'event' not in answer:
                return answer

    def close(self):
        self.file.close()
        self.socket.close()


class RealizeAndReset(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix='vfskit-vhost-user-')
        self.addCleanup(self.dir.cleanup)
        self.root = pathlib.Path(self.dir.name)

    def start(self, name, argv):
        log = open(self.root / f'{name}.log', 'w')
        self.addCleanup(log.close)
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        return process

    def start_pair(self, request_queues):
        backend = self.start('backend', [BACKEND, str(self.root / 'fs.sock')])
        wait_for(self.root / 'fs.sock', backend)
        qemu = self.start('qemu', [
            'qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-m', '128', '-display', 'none',
            '-nodefaults', '-object', 'memory-backend-memfd,id=memory,size=128M,share=on',
            '-numa', 'node,memdev=memory', '-chardev', f'socket,id=fs,path={self.root}/fs.sock',
            '-device', 'vhost-user-fs-pci,chardev=fs,tag=share,queue-size=1024,'
                       f'num-request-queues={request_queues}',
            '-qmp', f'unix:{self.root}/qmp.sock,server=on,wait=off'])
        wait_for(self.root / 'qmp.sock', qemu)
        qmp = Qmp(str(self.root / 'qmp.sock'))
        self.addCleanup(qmp.close)
        return backend, qemu, qmp

    def log(self, name):
        return (self.root / f'{name}.log').read_text()

    def survives_resets(self, request_queues):
        backend, qemu, qmp = self.start_pair(request_queues)
        resets = self.log('backend').count('device reset')
        for _ in range(2):
            self.assertIn('return', qmp.command('system_reset'))
            self.assertTrue(qmp.command('query-status')['return']['running'])
        end = time.monotonic() + DEADLINE
        while self.log('backend').count('device reset') <= resets and time.monotonic() < end:
            time.sleep(0.05)
        self.assertGreater(self.log('backend').count('device reset'), resets)
        self.assertIsNone(backend.poll())
        qmp.command('quit')
        self.assertEqual(qemu.wait(DEADLINE), 0)
        self.assertEqual(backend.wait(DEADLINE), 0)
        self.assertEqual(self.log('qemu'), '')
        self.assertIn('the front-end left', self.log('backend'))
        self.assertNotIn('log:', self.log('backend'))

    def test_with_one_request_queue(self):
        self.survives_resets(1)

    def test_with_four_request_queues(self):
        self.survives_resets(4)

    def test_with_as_many_as_there_can_be(self):
        self.survives_resets(255)


if __name__ == '__main__':
    unittest.main()

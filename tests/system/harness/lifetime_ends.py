#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a test started ends with the test, also when the test is killed and cleans nothing up."""
import pathlib
import signal
import subprocess
import sys
import time
import unittest

TEST = 'import lifetime, time; print(lifetime.start(["sleep", "600"]).pid, flush=True); time.sleep(600)'
DEADLINE = 20


def is_running(pid) -> bool:
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(') ')[2][0] not in 'ZX'
    except FileNotFoundError:
        return False


class LifetimeEnds(unittest.TestCase):
    def test_a_killed_test_leaves_no_process_behind(self):
        with subprocess.Popen([sys.executable, '-c', TEST], stdout=subprocess.PIPE, text=True) as test:
            pid = int(test.stdout.readline())
            deadline = time.monotonic() + DEADLINE
            while pathlib.Path(f'/proc/{pid}/comm').read_text().strip() != 'sleep':
                self.assertLess(time.monotonic(), deadline, 'setpriv did not start the command')
                time.sleep(0.01)
            test.send_signal(signal.SIGKILL)
        while is_running(pid):
            self.assertLess(time.monotonic(), deadline, 'the process outlived the killed test')
            time.sleep(0.01)


if __name__ == '__main__':
    unittest.main()

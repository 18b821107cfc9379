# SPDX-License-Identifier: Apache-2.0
"""Processes that do not outlive the test that started them.

A test that is killed at its time limit cleans nothing up, and a guest under TCG that nobody waits for keeps a core
busy until somebody finds it. The kernel ends these when the thread that started them ends, however it ends: start them
from the main thread.
"""
import subprocess


def start(command, **options) -> subprocess.Popen:
    """subprocess.Popen, for a process that is killed when the test dies; its pid is the command's own."""
    return subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--', *map(str, command)], **options)

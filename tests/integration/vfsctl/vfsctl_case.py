# SPDX-License-Identifier: Apache-2.0
"""A private directory, a store in it, the real vfsctl and virtiofsd, whose paths are in VFSCTL and VIRTIOFSD."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
VFSCTL = os.environ['VFSCTL']
VIRTIOFSD = os.environ['VIRTIOFSD']
sys.path.insert(0, str(ROOT / 'tests' / 'schemas'))

DOMAIN = """<domain type='kvm'>
  <name>web</name>
  <memory unit='MiB'>512</memory>
  <os><type>hvm</type></os>
  <devices>
  </devices>
</domain>
"""


class VfsctlCase(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix='vfskit-test-')
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        self.store = self.dir / 'mappings.yaml'
        self.env = {'PATH': os.environ['PATH'], 'HOME': directory.name, 'LC_ALL': 'C.UTF-8',
                    'VFSKIT_STORE': f'yaml:{self.store}', 'VFSKIT_RUN_DIR': str(self.dir / 'run'),
                    'VFSKIT_FACTS_DIR': str(self.dir / 'facts')}
        self.env.update({key: value for key, value in os.environ.items()
                         if key.endswith('SAN_OPTIONS')})

    def run_vfsctl(self, *words, **options):
        return subprocess.run([VFSCTL, *words], env=self.env, cwd=self.dir, text=True, timeout=60,
                              capture_output=True, **options)

    def vfsctl(self, *words, status=0, **options):
        """Standard output of a call that ends with `status`."""
        done = self.run_vfsctl(*words, **options)
        self.assertEqual(done.returncode, status, f'{words}: {done.stderr}')
        return done.stdout

    def start_daemon(self, vm='100', tag='media'):
        """A virtiofsd that serves the private directory; its process, once its control socket answers."""
        place = self.dir / 'run' / vm
        place.mkdir(parents=True, exist_ok=True)
        control = place / f'{tag}.control'
        with open(place / f'{tag}.log', 'w') as log:
            daemon = subprocess.Popen(
                [VIRTIOFSD, f'--socket-path={place / tag}.sock', f'--control-socket={control}',
                 f'--shared-dir={self.dir}', f'--tag={tag}', '--sandbox=none', '--seccomp=none'],
                env=self.env, stderr=log)
        self.addCleanup(daemon.wait, timeout=60)
        self.addCleanup(daemon.terminate)
        deadline = time.monotonic() + 60
        while self.run_vfsctl('daemon', 'status', '--control-socket', control).returncode != 0:
            self.assertIsNone(daemon.poll(), (place / f'{tag}.log').read_text())
            self.assertLess(time.monotonic(), deadline, 'the control socket does not answer')
            time.sleep(0.02)
        return daemon

    def tree(self):
        return json.loads(self.vfsctl('complete', 'tree'))

    def add_media(self):
        (self.dir / 'media').mkdir()
        self.vfsctl('mapping', 'add', 'media', f'n1:{self.dir}/media', 'n2:/mnt/media',
                    '--method', 'find-paths', '--description', 'Films')

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user meets: exit statuses, streams, colours on a terminal, real files."""
import os
import pty
import subprocess
import unittest

from vfsctl_case import ROOT, VFSCTL, VfsctlCase


class Commands(VfsctlCase):
    def run_on_terminal(self, *words, **variables):
        """What a terminal of 60 columns shows."""
        master, slave = pty.openpty()
        subprocess.run(['stty', 'cols', '60'], stdin=slave, check=True)
        done = subprocess.run([VFSCTL, *words], env={**self.env, 'TERM': 'xterm', **variables},
                              cwd=self.dir, stdin=slave, stdout=slave, stderr=slave, timeout=60)
        os.close(slave)
        shown = b''
        try:
            while chunk := os.read(master, 4096):
                shown += chunk
        except OSError:  # EIO: all was read
            pass
        os.close(master)
        return done.returncode, shown.decode().replace('\r\n', '\n')

    def test_defines_and_prints(self):
        self.add_media()
        command = self.vfsctl('daemon', 'command', 'media', '--vm', '100', '--node', 'n1',
                              '--dialect', '1.13.2')
        self.assertIn('--socket-path=/run/vfskit/100/media.sock', command)
        self.assertIn('--migration-mode=find-paths', command)

    def test_exit_statuses(self):
        self.add_media()
        self.vfsctl('mapping', 'lsit', status=2)
        self.vfsctl('mapping', 'show', 'nope', status=3)
        self.vfsctl('mapping', 'add', 'media', 'n1:/x', status=4)
        self.vfsctl('mapping', 'set', 'media', '--method', 'none', '--if-revision', 'x', status=5)
        (self.dir / 'broken.yaml').write_text('version: 1\nmappings: [\n')
        self.vfsctl('mapping', 'list', '--store', 'broken.yaml', status=1)

    def test_failures_go_to_standard_error_only(self):
        done = self.run_vfsctl('mapping', 'show', 'nope')
        self.assertEqual(done.stdout, '')
        self.assertTrue(done.stderr.startswith("vfsctl: There is no mapping 'nope'"))
        self.assertEqual(done.stderr.count('\n'), 1)

    def test_a_comment_survives_a_change(self):
        self.store.write_text('# ours\nversion: 1\nmappings:\n  media: # films\n    nodes:\n'
                              '      n1: /srv/media # disk 2\n')
        self.vfsctl('mapping', 'set', 'media', '--path', 'n2:/mnt/media')
        text = self.store.read_text()
        for comment in ('# ours', '# films', '# disk 2'):
            self.assertIn(comment, text)

    def test_a_full_disk_is_a_failure(self):
        self.add_media()
        with open('/dev/full', 'w') as full:
            done = subprocess.run([VFSCTL, 'mapping', 'list'], env=self.env, stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn('Cannot write the result', done.stderr)

    def test_a_store_that_cannot_be_written_is_left_alone(self):
        if os.geteuid() == 0:
            store = 'yaml:/proc/vfskit/mappings.yaml'
        else:
            store = 'yaml:/vfskit-test/mappings.yaml'
        self.assertIn(self.run_vfsctl('mapping', 'add', 'media', 'n1:/x', '--store', store).returncode,
                      (1, 3))

    def test_colours_on_a_terminal(self):
        self.add_media()
        status, shown = self.run_on_terminal('mapping', 'list')
        self.assertEqual(status, 0)
        self.assertIn('\x1b[1mID', shown)

    def test_no_colours_where_none_are_wanted(self):
        self.add_media()
        for variables in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
            with self.subTest(variables):
                self.assertNotIn('\x1b', self.run_on_terminal('mapping', 'list', **variables)[1])
        self.assertNotIn('\x1b', self.run_on_terminal('mapping', 'list', '--color=never')[1])
        self.assertNotIn('\x1b', self.vfsctl('mapping', 'list'))

    def test_lines_fit_a_terminal(self):
        self.vfsctl('mapping', 'add', 'media', 'n1:/srv', '--description', 'x' * 200)
        shown = self.run_on_terminal('mapping', 'list', '--node', 'n1', '--color=never')[1]
        self.assertTrue(all(len(line) <= 60 for line in shown.splitlines()), shown)
        self.assertIn('…', shown)
        self.assertIn('x' * 200, self.vfsctl('mapping', 'list'))

    def test_two_writers_lose_nothing(self):
        calls = [subprocess.Popen([VFSCTL, 'mapping', 'add', f'm{number}', 'n1:/srv', '-q'],
                                  env=self.env) for number in range(8)]
        self.assertEqual([call.wait(timeout=60) for call in calls], [0] * 8)
        self.assertEqual(self.store.read_text().count('n1: /srv'), 8)

    def test_the_store_and_its_schema_agree(self):
        for kind, expected in (('valid', 0), ('invalid', 1)):
            for path in sorted((ROOT / 'schemas/samples' / kind / 'mappings').iterdir()):
                with self.subTest(path.name):
                    self.vfsctl('mapping', 'list', '-q', '--store', f'yaml:{path}', status=expected)

    def test_every_verb_prints_its_help(self):
        for verb in self.tree()['verbs']:
            with self.subTest(verb['path']):
                text = self.vfsctl(*verb['path'].split(), '--help')
                self.assertIn(f'Usage: {verb["usage"]}', text)
                self.assertIn('Examples:', text)


if __name__ == '__main__':
    unittest.main()

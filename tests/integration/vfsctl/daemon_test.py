#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vfsctl asks running daemons: found by VM and tag, alive, hanging and dead ones."""
import json
import os
import pty
import socket
import subprocess
import unittest

from vfsctl_case import ROOT, VFSCTL, VfsctlCase
from schema_library import SchemaLibrary

LIBRARY = SchemaLibrary(ROOT)


class Daemons(VfsctlCase):
    def states(self, *words, status=0):
        document = json.loads(self.vfsctl('daemon', 'status', *words, '--json', status=status))
        self.assertEqual(LIBRARY.faults('daemon-states', document), [])
        return document['daemons']

    def leave_a_dead_socket(self, vm, tag):
        (self.dir / 'run' / vm).mkdir(parents=True, exist_ok=True)
        path = self.dir / 'run' / vm / f'{tag}.control'
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        return path

    def test_none_run(self):
        self.assertEqual(self.vfsctl('daemon', 'status'), 'No daemons\n')
        self.assertEqual(self.states(), [])
        self.assertIn('No daemons', self.vfsctl('top', '--once', '--interval', '0.1'))

    def test_are_found_by_vm_and_tag(self):
        for vm, tag in (('100', 'media'), ('100', 'home'), ('web', 'media')):
            self.start_daemon(vm, tag)
        places = [(each['vm'], each['tag']) for each in self.states()]
        self.assertEqual(places, [('100', 'home'), ('100', 'media'), ('web', 'media')])
        self.assertEqual([each['tag'] for each in self.states('100')], ['home', 'media'])
        self.assertEqual([each['vm'] for each in self.states('web', 'media')], ['web'])

    def test_tell_about_themselves(self):
        daemon = self.start_daemon()
        status = self.states('100', 'media')[0]['status']
        self.assertEqual((status['pid'], status['tag'], status['connected']), (daemon.pid, 'media', False))
        table = self.vfsctl('daemon', 'status')
        self.assertRegex(table, rf'(?m)^100  media  {daemon.pid} +waiting .* {self.dir}$')

    def test_a_wrong_name_gets_a_hint(self):
        self.start_daemon()
        done = self.run_vfsctl('daemon', 'status', '101')
        self.assertEqual(done.returncode, 3)
        self.assertIn("Did you mean '100'?", done.stderr)
        done = self.run_vfsctl('daemon', 'status', '100', 'medai')
        self.assertEqual(done.returncode, 3)
        self.assertIn("Did you mean 'media'?", done.stderr)

    def test_a_dead_one_does_not_hide_the_others(self):
        self.start_daemon()
        self.leave_a_dead_socket('100', 'gone')
        gone, media = self.states(status=1)
        self.assertIn('Connection refused', gone['failure']['message'])
        self.assertEqual(media['status']['tag'], 'media')
        done = self.run_vfsctl('daemon', 'status')
        self.assertRegex(done.stdout, r'(?m)^100  gone +- +no answer ')
        self.assertRegex(done.stdout, r'(?m)^100  media +\d+ +waiting ')
        self.assertEqual(self.run_vfsctl('daemon', 'status', '100', 'gone').returncode, 1)

    def test_a_missing_socket_does_not_exist(self):
        self.vfsctl('daemon', 'status', '--control-socket', 'nowhere', status=3)

    def test_metrics_of_all_in_one_text(self):
        self.start_daemon('100', 'media')
        self.start_daemon('web', 'home')
        text = self.vfsctl('daemon', 'status', '--prometheus')
        self.assertEqual(text.count('# TYPE vfskit_virtiofsd_inodes gauge\n'), 1)
        self.assertIn('vfskit_virtiofsd_inodes{vm="100",tag="media"} ', text)
        self.assertIn('vfskit_virtiofsd_inodes{vm="web",tag="home"} ', text)
        by_socket = self.vfsctl('daemon', 'status', '--prometheus', '--control-socket',
                                'run/100/media.control')
        self.assertRegex(by_socket, r'(?m)^vfskit_virtiofsd_inodes \d+$')

    def test_change_their_log_level(self):
        self.start_daemon('100', 'media')
        self.start_daemon('100', 'home')
        self.start_daemon('web', 'media')
        self.vfsctl('daemon', 'log-level', 'debug', '100')
        levels = {(each['vm'], each['tag']): each['status']['log_level'] for each in self.states()}
        self.assertEqual(levels, {('100', 'home'): 'debug', ('100', 'media'): 'debug',
                                  ('web', 'media'): 'info'})
        self.vfsctl('daemon', 'log-level', 'loud', '100', status=2)
        self.vfsctl('daemon', 'log-level', 'debug', status=4)

    def test_top_is_plain_where_no_terminal_is(self):
        self.start_daemon()
        text = self.vfsctl('top', '--count', '2', '--interval', '0.1')
        self.assertNotIn('\x1b', text)
        self.assertEqual(len([line for line in text.splitlines() if line.startswith('VM ')]), 2)
        self.assertRegex(text, r'(?m)^100  media  0 ')

    def test_top_renews_a_terminal_in_place(self):
        self.start_daemon()
        master, slave = pty.openpty()
        subprocess.run([VFSCTL, 'top', '--count', '2', '--interval', '0.1'], stdout=slave, timeout=60,
                       env={**self.env, 'TERM': 'xterm'}, check=True)
        os.close(slave)
        shown = os.read(master, 1 << 16).decode()
        os.close(master)
        self.assertEqual((shown.count('\x1b[2J'), shown.count('\x1b[H')), (1, 2))

    def test_top_writes_a_line_of_json_per_interval(self):
        self.start_daemon()
        lines = self.vfsctl('top', '--json', '--count', '3', '--interval', '0.1').splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            document = json.loads(line)
            self.assertEqual(LIBRARY.faults('top', document), [])
            self.assertGreater(document['daemons'][0]['rates']['interval-ms'], 0)

    def test_top_goes_on_when_a_daemon_dies(self):
        self.start_daemon('100', 'home')
        self.leave_a_dead_socket('100', 'gone')
        document = json.loads(self.vfsctl('top', '--json', '--once', '--interval', '0.1'))
        gone, home = document['daemons']
        self.assertIn('failure', gone)
        self.assertIn('rates', home)

    def test_top_refuses_intervals_of_nothing(self):
        self.vfsctl('top', '--interval', '0', status=2)
        self.vfsctl('top', '--interval', '1.25', status=2)
        self.vfsctl('top', '--once', '--count', '2', status=4)


if __name__ == '__main__':
    unittest.main()

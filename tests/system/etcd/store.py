#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Needs: etcd-server, etcd-client, openssl.
"""Mappings and facts in a real etcd: nothing is lost, whatever happens to its members."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

from etcd import Cluster

VFSCTL = os.environ['VFSKIT_VFSCTL']


class EtcdCase(unittest.TestCase):
    members = 1

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix='vfskit-etcd-')
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        self.cluster = self.make_cluster()
        self.addCleanup(self.cluster.stop)
        self.store = f'etcd://{self.cluster.hosts}/vfskit?cache={self.dir}/cache'

    def make_cluster(self):
        return Cluster(self.dir, self.members)

    def run_vfsctl(self, *words, store=None, node='n1'):
        return subprocess.run([VFSCTL, *words, '--store', store or self.store, '--node', node], text=True,
                              capture_output=True, timeout=120)

    def vfsctl(self, *words, **options):
        done = self.run_vfsctl(*words, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def listing(self, **options):
        return json.loads(self.vfsctl('mapping', 'list', '--json', **options))

    def ids(self, **options):
        return [mapping['id'] for mapping in self.listing(**options)['mappings']]


class OneMember(EtcdCase):
    def test_is_empty_at_first(self):
        self.assertEqual(self.listing()['mappings'], [])

    def test_gives_back_every_property(self):
        self.vfsctl('mapping', 'add', 'media', 'n1:/srv/media', 'n2:/mnt/für', '--method', 'file-handles',
                    '--relation', 'same-directory', '--description', 'Films "und" mehr')
        mapping = self.listing()['mappings'][0]
        self.assertEqual(mapping, {
            'id': 'media', 'paths': [{'node': 'n1', 'path': '/srv/media'}, {'node': 'n2', 'path': '/mnt/für'}],
            'description': 'Films "und" mehr', 'live-migration-method': 'file-handles',
            'path-relation': 'same-directory'})
        self.vfsctl('mapping', 'set', 'media', '--description', 'Films')
        self.assertEqual(self.listing()['mappings'][0]['description'], 'Films')
        self.vfsctl('mapping', 'remove', 'media')
        self.assertEqual(self.ids(), [])

    def test_refuses_a_write_that_knows_an_old_revision(self):
        self.vfsctl('mapping', 'add', 'one', 'n1:/one')
        seen = self.listing()['revision']
        self.vfsctl('mapping', 'add', 'two', 'n1:/two')
        late = self.run_vfsctl('mapping', 'add', 'three', 'n1:/three', '--if-revision', seen)
        self.assertEqual(late.returncode, 5, late.stderr)
        self.assertEqual(self.ids(), ['one', 'two'])
        self.vfsctl('mapping', 'add', 'three', 'n1:/three', '--if-revision', self.listing()['revision'])

    def test_sees_what_etcdctl_did_behind_its_back(self):
        self.vfsctl('mapping', 'add', 'one', 'n1:/one')
        seen = self.listing()['revision']
        self.cluster.control('del', '/vfskit/mappings/one')
        late = self.run_vfsctl('mapping', 'add', 'two', 'n1:/two', '--if-revision', seen)
        self.assertEqual(late.returncode, 5, late.stderr)
        self.cluster.control('put', '/vfskit/mappings/broken', 'no mapping')
        self.assertEqual(self.ids(), [])
        self.assertIn('broken', self.listing()['notices'][0]['file'])
        self.vfsctl('mapping', 'add', 'two', 'n1:/two')
        self.assertEqual(self.cluster.control('get', '/vfskit/mappings/broken', '--print-value-only').strip(),
                         'no mapping')

    def test_keeps_prefixes_apart(self):
        other = self.store.replace('/vfskit?', '/vfskit2?')
        self.vfsctl('mapping', 'add', 'one', 'n1:/one')
        self.assertEqual(self.ids(store=other), [])

    def test_many_writers_lose_nothing(self):
        def write(writer):
            for number in range(5):
                self.vfsctl('mapping', 'add', f'w{writer}-{number}', f'n1:/w{writer}/{number}')
        failures = []

        def guarded(writer):
            try:
                write(writer)
            except AssertionError as failure:
                failures.append(failure)
        threads = [threading.Thread(target=guarded, args=(writer,)) for writer in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.ids(), sorted(f'w{w}-{n}' for w in range(3) for n in range(5)))

    def test_unreachable_reads_the_last_state_and_refuses_writes(self):
        self.vfsctl('mapping', 'add', 'one', 'n1:/one')
        self.cluster.kill(0)
        listing = self.listing()
        self.assertEqual([mapping['id'] for mapping in listing['mappings']], ['one'])
        self.assertIn('etcd cannot be reached', listing['notices'][0]['message'])
        person = self.run_vfsctl('mapping', 'list')
        self.assertIn('etcd cannot be reached', person.stderr)
        refused = self.run_vfsctl('mapping', 'add', 'two', 'n1:/two')
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn('Nothing was changed', refused.stderr)
        stranger = self.run_vfsctl('mapping', 'list', store=self.store.replace('/cache', '/other'))
        self.assertNotEqual(stranger.returncode, 0)
        self.cluster.start(0)
        self.cluster.wait_until_serving()
        self.assertEqual(self.listing()['notices'], [])
        self.assertEqual(self.ids(), ['one'])

    def test_facts_are_published_and_forgotten_with_their_lease(self):
        self.vfsctl('node', 'publish', node='n1')
        self.vfsctl('node', 'publish', '--lifetime', '2', node='n2')
        nodes = json.loads(self.vfsctl('node', 'list', '--json'))['nodes']
        self.assertEqual([node['facts']['node'] for node in nodes], ['n1', 'n2'])
        deadline = time.monotonic() + 30
        while len(nodes) > 1 and time.monotonic() < deadline:
            time.sleep(0.5)
            nodes = json.loads(self.vfsctl('node', 'list', '--json'))['nodes']
        self.assertEqual([node['node'] for node in nodes], ['n1'])
        self.vfsctl('node', 'publish', '--withdraw', node='n1')
        self.assertEqual(json.loads(self.vfsctl('node', 'list', '--json'))['nodes'], [])
        self.assertEqual(self.listing()['mappings'], [])

    def test_a_password_is_asked_for(self):
        self.vfsctl('mapping', 'add', 'one', 'n1:/one')
        self.cluster.control('user', 'add', 'root:secret')
        self.cluster.control('user', 'grant-role', 'root', 'root')
        self.cluster.control('auth', 'enable')
        stranger = self.run_vfsctl('mapping', 'list')
        self.assertEqual(stranger.returncode, 1)
        self.assertIn('password-file', stranger.stderr)
        (self.dir / 'password').write_text('secret\n')
        known = f'{self.store}&user=root&password-file={self.dir}/password'
        self.assertEqual(self.ids(store=known), ['one'])
        self.vfsctl('mapping', 'add', 'two', 'n1:/two', store=known)
        (self.dir / 'password').write_text('wrong\n')
        self.assertEqual(self.run_vfsctl('mapping', 'list', store=known).returncode, 1)


    @contextlib.contextmanager
    def watching(self, source, target, state):
        watcher = subprocess.Popen([VFSCTL, '--quiet', 'sync', '--from', source, '--to', target, '--watch',
                                    '--state', state], stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            watcher.terminate()
            status = watcher.wait(timeout=30)
        self.assertEqual(status, 0)

    def wait_for_ids(self, store, ids):
        deadline = time.monotonic() + 60
        while sorted(self.ids(store=store)) != ids:
            self.assertLess(time.monotonic(), deadline, f'{ids} did not arrive at {store}')
            time.sleep(0.1)

    def test_sync_watches_and_shows_conflicts(self):
        yaml, pve, state = f'yaml:{self.dir}/m.yaml', f'pve:{self.dir}/pve', f'{self.dir}/state'
        other = f'yaml:{self.dir}/other.yaml'
        (self.dir / 'pve/mapping').mkdir(parents=True)
        self.vfsctl('mapping', 'add', 'media', 'n1:/srv', '--method', 'find-paths', store=yaml)
        self.vfsctl('sync', '--from', yaml, '--to', self.store, '--state', state)
        self.assertEqual(self.ids(), ['media'])
        with self.watching(self.store, pve, state), self.watching(pve, other, state):
            self.vfsctl('mapping', 'add', 'two', 'n1:/two')
            self.wait_for_ids(other, ['media', 'two'])
            # As Proxmox VE's own interface does, which knows nothing of us.
            directory = self.dir / 'pve/mapping/directory.cfg'
            directory.write_text(directory.read_text() + 'three\n\tmap node=n1,path=/three\n\n')
            self.wait_for_ids(other, ['media', 'three', 'two'])
        self.assertEqual(json.loads(self.vfsctl('mapping', 'show', 'media', '--json', store=other))['mapping'].get(
            'live-migration-method'), 'find-paths')
        self.vfsctl('mapping', 'set', 'media', '--description', 'a', store=yaml)
        self.vfsctl('mapping', 'set', 'media', '--description', 'b')
        clash = self.run_vfsctl('sync', '--from', yaml, '--to', self.store, '--state', state, '--json')
        self.assertEqual(clash.returncode, 5, clash.stderr)
        conflict = json.loads(clash.stdout)['conflicts'][0]
        self.assertEqual([conflict[end].get('description') for end in ('base', 'from', 'to')], [None, 'a', 'b'])
        self.assertEqual(self.listing()['mappings'][0]['description'], 'b')


class WithTls(EtcdCase):
    def make_cluster(self):
        def openssl(*words):
            subprocess.run(['openssl', *words], cwd=self.dir, check=True, capture_output=True, timeout=60)
        for name in ('ca', 'other-ca'):
            openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                    f'{name}.key', '-out', f'{name}.pem', '-subj', f'/CN={name}', '-days', '2')
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'member.key',
                '-out', 'member.csr', '-subj', '/CN=member')
        (self.dir / 'names').write_text('subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
        openssl('x509', '-req', '-in', 'member.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out',
                'member.pem', '-days', '2', '-extfile', 'names')
        self.files = {'ca': self.dir / 'ca.pem', 'cert': self.dir / 'member.pem', 'key': self.dir / 'member.key'}
        return Cluster(self.dir, 1, self.files)

    def test_both_ends_prove_who_they_are(self):
        tls = f'etcds://{self.cluster.hosts}/vfskit?cache={self.dir}/cache'
        own = f'&cert={self.files["cert"]}&key={self.files["key"]}'
        whole = f'{tls}&ca={self.files["ca"]}{own}'
        self.vfsctl('mapping', 'add', 'one', 'n1:/one', store=whole)
        self.assertEqual(self.ids(store=whole), ['one'])
        for wrong in (f'{tls}&ca={self.dir}/other-ca.pem{own}', f'{tls}&ca={self.files["ca"]}'):
            done = self.run_vfsctl('mapping', 'list', store=wrong)
            self.assertNotEqual(done.returncode, 0, wrong)


class ThreeMembers(EtcdCase):
    members = 3

    def test_lose_a_member_then_the_quorum_during_writes_and_nothing_that_was_said(self):
        said, refused = [], []
        may_stop = threading.Event()

        def write(writer):
            number = 0
            while not may_stop.is_set():
                name = f'w{writer}-{number:03}'
                done = self.run_vfsctl('mapping', 'add', name, f'n1:/{name}')
                (said if done.returncode == 0 else refused).append(name)
                number += 1
        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
        for thread in threads:
            thread.start()

        def wait_for(condition, what):
            deadline = time.monotonic() + 60
            while not condition():
                self.assertLess(time.monotonic(), deadline, what)
                time.sleep(0.05)

        try:
            wait_for(lambda: len(said) >= 5, 'writes with all members')
            self.cluster.kill(0)
            before = len(said)
            wait_for(lambda: len(said) >= before + 5, 'writes with two members')
            self.cluster.kill(1)
            wait_for(lambda: len(refused) >= 2, 'refusals without a quorum')
            # Reading goes on, with a warning.
            listing = self.listing()
            self.assertIn('etcd cannot be reached', listing['notices'][0]['message'])
            self.cluster.start(0)
            self.cluster.start(1)
            before = len(said)
            wait_for(lambda: len(said) >= before + 5, 'writes after the quorum came back')
        finally:
            may_stop.set()
            for thread in threads:
                thread.join()
        ids = self.ids()
        self.assertEqual(sorted(set(said) - set(ids)), [], 'said to be written, and lost')
        self.assertEqual(sorted(set(ids) - set(said) - set(refused)), [], 'from nowhere')
        self.assertEqual(self.listing()['notices'], [])


if __name__ == '__main__':
    unittest.main(verbosity=2)

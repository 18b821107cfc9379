#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every verb's --json output obeys its schema: no shape changes without it."""
import json
import unittest

from vfsctl_case import DOMAIN, ROOT, VIRTIOFSD, VfsctlCase
from schema_library import SchemaLibrary

LIBRARY = SchemaLibrary(ROOT)
STARTABLE = ('--node', 'n1', '--binary', VIRTIOFSD, '--sandbox', 'none')
DAEMON = ('--node', 'n1', '--dialect', 'rust-1.14')

# Verb: calls, each (words after the verb, kind of the document). A verb that prints no data has none.
CALLS = {
    'check': [(('--explain', 'all'), 'finding-catalogue')],  # see also test_of_a_check_obeys_its_schema
    'attach': [(('web', 'other', '--config', '--node', 'n1'), 'attachment'),
               (('web', 'other', '--config', '--node', 'n1', '--dry-run'), 'attachment')],
    'completion': [],
    'daemon command': [(('media', '--vm', '100', *DAEMON), 'daemon-command'),
                       (('media', '--fd', '7', '--node', 'n1', '--compat=pve'), 'daemon-command')],
    'daemon list': [((), 'daemon-list'), (('100',), 'daemon-list')],
    'daemon log-level': [(('info', '100'), 'daemon-log-level'),
                         (('info', '--control-socket', 'run/100/media.control'), 'daemon-log-level')],
    'daemon start': [(('media', '--vm', '101', '--launcher', 'direct', *STARTABLE), 'daemon-record')],
    'daemon status': [((), 'daemon-states'), (('100', 'media'), 'daemon-states'),
                      (('--control-socket', 'run/100/media.control'), 'daemon-states')],
    'daemon stop': [(('101',), 'daemon-stopped'), (('--stale',), 'daemon-stopped')],
    'drain': [],  # test_of_a_proxmox_check_obeys_its_schema
    'detach': [(('web', 'media', '--config'), 'detachment')],
    'guest cloud-init': [(('media:/srv/media',), 'guest-snippet')],
    'guest dracut': [(('media',), 'guest-snippet'), (('media', '--plain'), 'guest-snippet')],
    'guest fstab': [(('media:/srv/media', '--readonly'), 'guest-snippet')],
    'guest kubevirt': [(('vm1', 'media=pvc:claim'), 'guest-snippet')],
    'guest systemd': [(('media:/srv/media',), 'guest-snippet')],
    'mapping add': [(('home', 'n1:/home'), 'mapping-change'),
                    (('home', 'n1:/home', '--dry-run'), 'mapping-change')],
    'mapping doctor': [((), 'mapping-doctor'), (('--fix',), 'mapping-doctor')],
    'mapping export': [((), 'mappings')],
    'mapping import': [(('import.yaml',), 'mapping-change'),
                       (('import.yaml', '--replace'), 'mapping-change')],
    'mapping list': [((), 'mapping-list')],
    'mapping remove': [(('media',), 'mapping-change')],
    'mapping set': [(('media', '--relation', 'replicas', '--method', 'none'), 'mapping-change'),
                    (('media', '--description', 'Films'), 'mapping-change')],
    'mapping show': [(('media',), 'mapping')],
    'migrate': [],  # needs two hosts: tests/system/libvirt
    'node facts': [((), 'node-facts'), (('--node', 'n1'), 'node-facts')],
    'node list': [((), 'node-list')],
    'node publish': [((), 'node-publish'), (('--withdraw',), 'node-publish'), (('--node', 'n1'), 'node-publish')],
    'qemu args': [(('media', '--vm', '100', '--node', 'n1'), 'qemu-args'),
                  (('media', '--vm', '100', '--node', 'n1', '--memory', '1G'), 'qemu-args')],
    'restore': [],  # as 'migrate'
    'save': [],
    'sync': [(('--from', 'yaml:./mappings-a.yaml', '--to', 'yaml:./mappings-b.yaml', '--dry-run'), 'sync'),
             (('--from', 'yaml:./import.yaml', '--to', 'yaml:./mappings-b.yaml', '--state', 'state'), 'sync')],
    'top': [(('--once', '--interval', '0.1'), 'top'),
            (('100', 'media', '--count', '1', '--interval', '0.1'), 'top')],
    'watch': [(('--once', '--node', 'n2'), 'watch-event')],
    'xml filesystem': [(('media', '--node', 'n1'), 'xml-filesystem')],
    'xml memory': [((), 'xml-memory'),
                   (('--kind', 'hugepages', '--page-size', '2M', '--memory', '1G'), 'xml-memory')],
    'xml patch': [(('web.xml', 'media', '--node', 'n1', '--dry-run'), 'xml-patch')],
}


# What other tests hold against its schema: parts of documents, files, what needs two hosts.
ELSEWHERE = {'common', 'error', 'version', 'command-tree', 'daemon-status', 'daemon-migration-report',
             'migrate-event', 'save-event', 'pve-settings', 'check', 'check-pve', 'drain', 'vm-description'}

DOMAIN_WITH_MEDIA = DOMAIN.replace("type='kvm'", "type='test'").replace('<devices>', """<memoryBacking>
    <source type='memfd'/>
    <access mode='shared'/>
  </memoryBacking>
  <devices>
    <filesystem type='mount' accessmode='passthrough'>
      <driver type='virtiofs'/>
      <source dir='/srv/media'/>
      <target dir='media'/>
    </filesystem>""")


class JsonOutput(VfsctlCase):
    def setUp(self):
        super().setUp()
        (self.dir / 'web.xml').write_text(DOMAIN)
        (self.dir / 'import.yaml').write_text('version: 1\nmappings: {new: {nodes: {n1: /new}}}\n')
        self.add_media()
        # A libvirt in memory: libvirt's test driver, with one domain.
        (self.dir / 'web-domain.xml').write_text(DOMAIN_WITH_MEDIA.replace('/srv/media', f'{self.dir}/media'))
        (self.dir / 'libvirt.xml').write_text('<node><domain file="web-domain.xml"/></node>')
        (self.dir / 'other').mkdir()
        self.vfsctl('mapping', 'add', 'other', f'n1:{self.dir}/other')
        self.env['LIBVIRT_DEFAULT_URI'] = f'test://{self.dir}/libvirt.xml'

    def assert_valid(self, kind, text):
        document = json.loads(text)
        self.assertEqual(LIBRARY.faults(kind, document), [], text)

    def test_covers_every_verb(self):
        visible = {verb['path'] for verb in self.tree()['verbs'] if not verb['is-hidden']}
        self.assertEqual(visible, CALLS.keys())

    def test_covers_every_schema(self):
        seen = {kind for calls in CALLS.values() for _, kind in calls}
        self.assertEqual(LIBRARY.schemas.keys() - seen, ELSEWHERE)

    def test_obeys_its_schema(self):
        self.start_daemon()
        store = self.store.read_text()
        for verb, calls in CALLS.items():
            for words, kind in calls:
                with self.subTest(f'{verb} {" ".join(words)}'):
                    self.store.write_text(store)
                    self.assert_valid(kind, self.vfsctl(*verb.split(), *words, '--json'))

    def test_of_an_unhealthy_proxmox_store_obeys_its_schema(self):
        (self.dir / 'pve/mapping').mkdir(parents=True)
        (self.dir / 'pve/mapping/directory.cfg').write_bytes(
            b'one\n\tmap node=n1,path=/a\n\tdescription f\xfcr\nmerged\n\tmap node=n1,path=/b\n\n'
            b'poison\n\tdescription x\n\n')
        done = self.run_vfsctl('mapping', 'doctor', '--json', '--store', f'pve:{self.dir}/pve')
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assert_valid('mapping-doctor', done.stdout)
        done = self.run_vfsctl('mapping', 'list', '--json', '--store', f'pve:{self.dir}/pve')
        self.assert_valid('mapping-list', done.stdout)

    def test_of_a_check_obeys_its_schema(self):
        (self.dir / 'vm.json').write_text(json.dumps(
            {'kind': 'vm-description', 'version': 1, 'name': 'web',
             'shares': [{'tag': 'media', 'launch': 'socket', 'socket': '/run/none'}]}))
        for words in (('--description', 'vm.json', '--from', 'n1', '--to', 'n2'),
                      ('--description', 'vm.json', '--target-half'), ('--xml', 'web.xml', '--to', 'all')):
            done = self.run_vfsctl('check', *words, '--no-ssh', '--json')
            self.assertEqual(done.stderr, '')
            self.assert_valid('check', done.stdout)
        self.assertEqual(done.returncode, 0)  # a VM without shares

    def test_of_a_proxmox_check_obeys_its_schema(self):
        (self.dir / 'pve/nodes/n1/qemu-server').mkdir(parents=True)
        (self.dir / 'pve/nodes/n1/qemu-server/100.conf').write_text('amd-sev: std\nserial0: /dev/ttyS0\n')
        done = self.run_vfsctl('check', '100', '--pve', '--json', '--store', f'pve:{self.dir}/pve')
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assert_valid('check-pve', done.stdout)
        done = self.run_vfsctl('drain', 'n1', '--no-ssh', '--json', '--store', f'pve:{self.dir}/pve')
        self.assert_valid('drain', done.stdout)

    def test_of_a_failure_obeys_its_schema(self):
        self.store.write_text('version: 1\nmappings: [\n')
        for words in (('mapping', 'list'), ('mapping', 'lsit'), ('mapping', 'show')):
            with self.subTest(' '.join(words)):
                done = self.run_vfsctl(*words, '--json')
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(json.loads(done.stderr)['exit-status'], done.returncode)
                self.assert_valid('error', done.stderr)
                self.assertEqual(done.stdout, '')

    def test_of_the_version_obeys_its_schema(self):
        self.assert_valid('version', self.vfsctl('--version', '--json'))

    def test_of_the_tree_obeys_its_schema(self):
        self.assert_valid('command-tree', self.vfsctl('complete', 'tree'))


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""A TestCase with two libvirt hosts, a directory that both share under a path of their own, and the guest "web",
in which the keeper holds a file open and counts what it writes."""
import json
import os
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / 'tests/schemas')]
import vm  # noqa: E402
from libvirt_hosts import Hosts, domain_xml, shares_metadata  # noqa: E402
from schema_library import SchemaLibrary  # noqa: E402

VIRTIOFSD = os.environ['VFSKIT_VIRTIOFSD']
VFSCTL = os.environ['VFSKIT_VFSCTL']
HOOK = os.environ['VFSKIT_HOOK']
WRAPPER = os.environ['VFSKIT_WRAPPER']
KEEPER = os.environ['VFSKIT_KEEPER']

MANAGED = '''<filesystem type='mount' accessmode='passthrough'>
  <driver type='virtiofs' queue='1024'/><binary path='{binary}'/>
  <source dir='/srv/media'/><target dir='films'/></filesystem>'''.format
KEPT = '''<filesystem type='mount'>
  <driver type='virtiofs' queue='1024'/>
  <source socket='/run/vfskit/web/films.sock'/><target dir='films'/></filesystem>'''
# Free PCIe ports, without which nothing can be attached to a running q35 guest.
PORTS = "<controller type='pci' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 4


class LibvirtCase(unittest.TestCase):
    there = '/srv/at & b'  # where host-b has what host-a has at /srv/media

    @classmethod
    def setUpClass(cls):
        cls.hosts = Hosts()
        cls.addClassCleanup(cls.hosts.close)
        cls.a, cls.b = cls.hosts.both()
        cls.share = cls.hosts.directory / 'share'
        cls.share.mkdir()
        for host, path in ((cls.a, '/srv/media'), (cls.b, cls.there)):
            host.install_vfskit(HOOK, VFSCTL, cls.daemon_of(host), WRAPPER)
            host.write('/etc/vfskit/mappings.yaml', cls.store())
            host.path(path).mkdir()
            host.run('mount', '--bind', cls.share, path)
        cls.image = vm.make_initramfs(cls.hosts.directory, cls.guest_files())
        cls.image.chmod(0o644)
        cls.hosts.start()

    @classmethod
    def daemon_of(cls, host) -> str:
        return VIRTIOFSD

    @classmethod
    def guest_files(cls) -> dict[str, str]:
        return {'/bin/keeper': KEEPER}

    @classmethod
    def store(cls, here='/srv/media', there=None, relation='same-directory', method='find-paths') -> str:
        """What both hosts have in /etc/vfskit/mappings.yaml; `there` and `method` may be False: none."""
        there = cls.there if there is None else there
        nodes = f'host-a: {here}' + (f', host-b: {there}' if there else '')
        method = f'live-migration-method: {method}' if method else ''
        return f'''version: 1
mappings:
  media:
    {method}
    path-relation: {relation}
    nodes: {{{nodes}}}
'''

    def write_store(self, *hosts, **options):
        for host in hosts:
            host.write('/etc/vfskit/mappings.yaml', self.store(**options))
            self.addCleanup(host.write, '/etc/vfskit/mappings.yaml', self.store())

    def setUp(self):
        (self.share / 'kept').unlink(missing_ok=True)

    def tearDown(self):
        for host in self.hosts.both():
            host.virsh('destroy', 'web', check=False)
            host.virsh('undefine', 'web', '--managed-save', '--snapshots-metadata', check=False)

    def boot(self, devices, metadata='', kernel=None):
        self.a.define(domain_xml('web', self.image, devices, metadata, kernel))
        self.a.virsh('start', 'web')
        self.a.shell.connect(waits_for_boot=True)

    def start(self, filesystem, more='', kernel=None, **options):
        """The guest on host-a with the share "films", and the keeper on it."""
        self.boot(filesystem + more, shares_metadata(films=('media', options)), kernel)
        self.keep('films')

    def keep(self, tag):
        """Mounts the share, which may just have been plugged in: the guest takes a moment to find it. The keeper
        writes on it from then on."""
        self.a.shell.run(f'''tries=0
until mount -t virtiofs {tag} /mnt 2>/tmp/mount.log; do
    tries=$((tries + 1)); [ $tries -lt 300 ] || {{ cat /tmp/mount.log; exit 1; }}
    sleep 0.1
done''')
        self.a.shell.run('keeper /mnt/kept /tmp/stop >/tmp/keeper.log 2>&1 & echo $! >/tmp/keeper.pid')
        self.alive(self.a)

    def alive(self, host):
        host.shell.run('sleep 0.5; kill -0 $(cat /tmp/keeper.pid) || { cat /tmp/keeper.log; exit 1; }')

    def stop_keeper(self, host) -> str:
        host.shell.run('touch /tmp/stop; while kill -0 $(cat /tmp/keeper.pid) 2>/dev/null; do sleep 0.1; done; sync')
        return host.shell.run('cat /tmp/keeper.log')

    def nothing_was_lost(self, host):
        word, count = self.stop_keeper(host).split()[:2]
        self.assertEqual(word, 'kept')
        self.assertEqual((self.share / 'kept').read_text(),
                         ''.join(f'{number:015}\n' for number in range(int(count))))

    def sources(self, host, *words):
        domain = ElementTree.fromstring(host.virsh('dumpxml', 'web', *words).stdout)
        found = [source.attrib for source in domain.findall('devices/filesystem/source')]
        return [source.get('dir') or source.get('socket') for source in found]

    def daemons(self, host):
        done = host.run(VFSCTL, 'daemon', 'list', '--json')
        return [(each['vm'], each['tag'], each['state']) for each in json.loads(done.stdout)['daemons']]

    def vfsctl(self, host, *words, status=0):
        done = host.run(VFSCTL, *words, check=False)
        self.assertEqual(done.returncode, status, f'{words}: {done.stdout}{done.stderr}')
        return done

    def migrate_words(self, *options, target=None):
        """From the other host to `target`, with facts as it would have published them."""
        target = target or self.b
        return ('migrate', 'web', target.name, '--desturi', target.uri, '--migrate-uri', f'tcp://{target.address}',
                '--facts', self.facts_of(target), '--no-ssh', *options)

    def facts_of(self, host) -> str:
        facts = self.hosts.directory / f'{host.name}.json'
        facts.write_text(host.run(VFSCTL, 'node', 'facts', '--json').stdout)
        return str(facts)

    def migrate(self, *options, status=0, target=None):
        """vfsctl migrate; its events with --json."""
        source = self.b if target is self.a else self.a
        done = self.vfsctl(source, *self.migrate_words(*options, target=target), status=status)
        return self.events('migrate-event', done) if '--json' in options else done

    def events(self, kind, done):
        events = [json.loads(line) for line in done.stdout.splitlines()]
        for event in events:
            self.assertEqual(SchemaLibrary(ROOT).faults(kind, event), [])
        return events

    def in_background(self, host, *words):
        """vfsctl on that host while the test goes on; tell() signals it, which nsenter would not pass on."""
        shell = 'echo $$ >/run/vfsctl.pid; exec "$@"'
        process = subprocess.Popen(
            ['nsenter', f'--target={host.pid}', '--mount', '--net', '--uts', '--pid', '--', 'sh', '-c', shell, 'sh',
             VFSCTL, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate, timeout=60)
        self.addCleanup(self.tell, host, 'TERM')
        return process

    @staticmethod
    def tell(host, name):
        host.run('sh', '-c', f'kill -{name} $(cat /run/vfsctl.pid)', check=False)

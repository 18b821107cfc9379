# SPDX-License-Identifier: Apache-2.0
"""A guest that is sent from QEMU to QEMU, and from daemon to daemon, while it keeps a file open.

    with Traveller() as guest:
        guest.start(ours, share)          boots, mounts the share on /mnt, starts the keeper
        guest.move(theirs, share)         a live migration that must succeed
        guest.must_stay(ours, other)      one that must be refused; the guest goes on where it is
        guest.end()                       the keeper's verdict
"""
import os
import pathlib
import shutil
import tempfile
import time

import vm

OURS = os.environ.get('VFSKIT_VIRTIOFSD', '')
KEEPER = os.environ.get('VFSKIT_KEEPER', '')
WITNESS = os.environ.get('VFSKIT_WITNESS', '')
PEERS = {'1.13.2': 'trixie', '1.14.0': 'sid'}
MIGRATION_TIMEOUT = 180  # seconds; 512 MiB under TCG take 5 to 20
DONE = ('completed', 'failed', 'cancelled')


def peer(version: str) -> str:
    return vm.peer_virtiofsd(PEERS[version])


def migrate(source: vm.Guest, destination: vm.Guest) -> str:
    """Runs a live migration to its end, whichever that is; the status QEMU gives."""
    start_migration(source, destination)
    return wait_for_migration(source)


def start_migration(source: vm.Guest, destination: vm.Guest, bandwidth: int = 1 << 30, uri: str | None = None):
    uri = uri or f'unix:{destination.directory}/migration'
    for guest in (source, destination):
        # The return path lets the source hear of a failed load before it gives up its guest.
        guest.qmp.execute('migrate-set-capabilities',
                          capabilities=[{'capability': 'return-path', 'state': True}])
    source.qmp.execute('migrate-set-parameters', **{'max-bandwidth': bandwidth})
    destination.qmp.execute('migrate-incoming', uri=uri)
    source.qmp.execute('migrate', uri=uri)


def wait_for_migration(source: vm.Guest) -> str:
    deadline = time.monotonic() + MIGRATION_TIMEOUT
    while time.monotonic() < deadline:
        status = source.qmp.execute('query-migrate').get('status')
        if status in DONE:
            return status
        time.sleep(0.1)
    raise vm.GuestError(f'the migration did not end: {source.qmp.execute("query-migrate")}')


class Traveller:
    """The guest, wherever it is."""

    def __init__(self, queues: int = 1):
        self.queues = queues
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-traveller-'))
        self.image = vm.make_initramfs(self.directory, {'/bin/keeper': KEEPER, '/bin/witness': WITNESS})
        self.daemon = None
        self.guest = None
        self.keeps = False

    def start(self, binary: str, share, *options: str, keeps: bool = True):
        self.daemon = self.make_daemon(binary, share, options)
        self.guest = self.make_guest(self.daemon)
        self.run('mount -t virtiofs s /mnt')
        self.keeps = keeps
        if keeps:
            self.run('keeper /mnt/kept /tmp/stop >/tmp/keeper.log 2>&1 & echo $! >/tmp/keeper.pid')
        self.check_keeper()

    def make_daemon(self, binary: str, share, options) -> vm.Daemon:
        return vm.Daemon(binary, share, *options)

    def make_guest(self, daemon: vm.Daemon, **options) -> vm.Guest:
        return vm.Guest([self.share_of(daemon)], image=self.image, **options)

    def share_of(self, daemon: vm.Daemon) -> vm.Share:
        return vm.Share('s', daemon.socket, queues=self.queues)

    def run(self, script: str, **options) -> str:
        return self.guest.run(script, **options)

    def status_of(self, script: str) -> int:
        self.guest.start(script)
        return self.guest.finish()[0]

    def check_keeper(self):
        if not self.keeps:
            self.run('true')
            return
        self.run('sleep 0.3; kill -0 $(cat /tmp/keeper.pid) || { cat /tmp/keeper.log; exit 1; }')

    def start_witness(self):
        """Files held open in every way, which ask_witness() compares with what they were. The share must have
        --xattr and --allow-direct-io."""
        self.run('''witness /mnt/witness /tmp/ask /tmp/answer >/tmp/witness.log 2>&1 & echo $! >/tmp/witness.pid
            while [ ! -e /tmp/answer ]; do kill -0 $(cat /tmp/witness.pid) || { cat /tmp/witness.log; exit 1; }
            sleep 0.05; done; [ "$(cat /tmp/answer)" = same ] || { cat /tmp/answer; exit 1; }''')

    def ask_witness(self, is_copy: bool = False):
        answer = self.run(f'''echo {'copy' if is_copy else ''} >/tmp/asked; mv /tmp/asked /tmp/ask
            while [ -e /tmp/ask ]; do kill -0 $(cat /tmp/witness.pid) || exit 1; sleep 0.05; done; cat /tmp/answer''')
        if not answer:  # an answer is never empty: the console of a busy machine swallowed it
            answer = self.run('cat /tmp/answer')
        assert answer == 'same\n', f'{answer}\n{self.daemon.log_text()}'

    def arrive(self, binary: str, share, options):
        """A daemon and a QEMU that wait for the guest."""
        daemon = self.make_daemon(binary, share, options)
        try:
            return daemon, self.make_guest(daemon, incoming='defer')
        except vm.GuestError:
            daemon.__exit__()
            raise

    def move(self, binary: str, share, *options: str) -> str:
        """The log of the daemon that the guest left."""
        daemon, guest = self.arrive(binary, share, options)
        status = migrate(self.guest, guest)
        if status != 'completed':
            logs = f'--- source\n{self.daemon.log_text()}\n--- destination\n{daemon.log_text()}'
            guest.__exit__()
            daemon.__exit__()
            raise vm.GuestError(f'the migration {status}\n{logs}')
        return self.settle(daemon, guest)

    def settle(self, daemon: vm.Daemon, guest: vm.Guest) -> str:
        """The guest has moved to these; the log of the daemon that it left."""
        self.guest.__exit__()
        assert self.daemon.wait() == 0, self.daemon.log_text()
        log = self.daemon.log_text()
        self.daemon.__exit__()
        self.daemon, self.guest = daemon, guest
        self.check_keeper()
        return log

    def must_stay(self, binary: str, share, *options: str) -> str:
        """The log of the daemon that refused the guest."""
        daemon, guest = self.arrive(binary, share, options)
        try:
            status = migrate(self.guest, guest)
            assert status == 'failed', f'the migration {status}:\n{daemon.log_text()}'
            daemon.wait()
            log = daemon.log_text()
        finally:
            guest.__exit__()
            daemon.__exit__()
        self.check_running()
        return log

    def check_running(self):
        deadline = time.monotonic() + 20
        while self.guest.qmp.execute('query-status')['status'] != 'running':
            assert time.monotonic() < deadline, 'the guest does not run on at the source'
            time.sleep(0.1)
        self.check_keeper()

    def end(self, shares):
        """Every record that the guest wrote is there, for the guest and on the host."""
        self.run('touch /tmp/stop; while kill -0 $(cat /tmp/keeper.pid) 2>/dev/null; do sleep 0.1; done; sync')
        verdict = self.run('cat /tmp/keeper.log').split()
        assert verdict[:1] == ['kept'], ' '.join(verdict)
        count = int(verdict[1])
        content = ''.join(f'{number:015}\n' for number in range(count))
        for share in shares:
            assert (pathlib.Path(share) / 'kept').read_text() == content, f'{share}/kept differs'
        print(f'{verdict}', flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for thing in (self.guest, self.daemon):
            if thing:
                thing.__exit__(*exc)
        shutil.rmtree(self.directory, ignore_errors=True)

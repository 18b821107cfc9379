# SPDX-License-Identifier: Apache-2.0
"""A real Linux guest under a real QEMU, for the system tests.

The guest is a Debian cloud kernel with a busybox initramfs, started without a disk. Its first serial port
is the console log; on the second one it obeys commands, so a test reads like a shell session:

    with Daemon(binary, share) as daemon, Guest([Share('tag', daemon.socket)]) as guest:
        guest.run('mount -t virtiofs tag /mnt')

Nothing here knows vfskit: the same guest runs against any vhost-user-fs daemon.
"""
import base64
import contextlib
import dataclasses
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import lifetime

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get('VFSKIT_TEST_CACHE', '/var/tmp/vfskit-peers'))
KERNEL_SUITE = 'trixie'  # 6.12: the first Debian kernel that spreads requests over several queues
QEMU = os.environ.get('VFSKIT_QEMU', 'qemu-system-x86_64')
NINEP_MODULES = ('netfs', '9pnet', '9pnet_virtio', '9p')
SHARED_MEMORY = 'memory-backend-memfd,share=on'
BOOT_TIMEOUT = 90  # seconds; under TCG on a busy machine a boot takes 5 to 20
DEAD_TIMER = 'Possible timer handling issue on cpu='  # what Linux says, 21 s later, of a CPU that gets no timer ticks

INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mkdir -p /mnt /dev/pts
mount -t devpts pts /dev/pts
ip link set lo up
export HOME=/ PATH=/bin:/sbin TERM=dumb
stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
mask=1
for cpu in $(seq "$(nproc)"); do
    taskset "$(printf %x $mask)" sleep 0.01 # for ever on a CPU whose timer is dead
    mask=$((mask * 2))
done
echo "@@ready"
while read -r sum line; do
    [ "$(echo "$line" | md5sum)" = "$sum  -" ] || { echo "@@damaged"; continue; }
    echo "$line" | base64 -d >/tmp/.command
    sh /tmp/.command </dev/null 2>&1
    echo "@@exit $?"
done
'''


READY = b'@@ready\n'
DAMAGED = b'@@damaged\n'


def command_line(script: str) -> bytes:
    """A script as INIT's loop reads it: a checksum and a line of base64."""
    line = base64.b64encode(script.encode()) + b'\n'
    return hashlib.md5(line).hexdigest().encode() + b' ' + line


class GuestError(Exception):
    """The guest or its QEMU did not do what it was told; the text holds the console's last lines."""


def unpack(name: str, *words: str) -> pathlib.Path:
    """Packages of another suite, in the tests' cache; `words` are those of tools/suite-packages."""
    root = CACHE / name
    options = [word for word in words if word.startswith('-')]
    suite, *packages = words[len(options):]
    subprocess.run([ROOT / 'tools/suite-packages', *options, suite, root, *packages], check=True)
    return root


def kernel() -> pathlib.Path:
    """The cloud kernel's image, unpacked from Debian's package on first use."""
    root = unpack(f'kernel-{KERNEL_SUITE}', '--alone', KERNEL_SUITE, '@linux-image-cloud-amd64')
    return next((root / 'boot').glob('vmlinuz-*'))


def ninep_kernel(directory: pathlib.Path) -> tuple[pathlib.Path, dict[str, str]]:
    """A kernel that has 9p, which the cloud kernel has not, and its modules (unpacked into the directory) for a
    guest's `extra`. mount_ninep() is for guests that have both."""
    root = unpack(f'kernel-generic-{KERNEL_SUITE}', '--alone', KERNEL_SUITE, '@linux-image-amd64')
    files = {}
    for name in NINEP_MODULES:
        module = directory / f'{name}.ko'
        module.write_bytes(lzma.decompress(next(root.rglob(f'{name}.ko.xz')).read_bytes()))
        files[f'/modules/{name}'] = str(module)
    return next((root / 'boot').glob('vmlinuz-*')), files


def mount_ninep(tag: str, place: str) -> str:
    """The script that mounts a 9p export in a guest."""
    load = ''.join(f'[ -e /sys/module/{name} ] || insmod /modules/{name}; ' for name in NINEP_MODULES)
    return f'{load}mkdir -p {place}; mount -t 9p -o trans=virtio,version=9p2000.L {tag} {place}'


def peer_virtiofsd(suite: str) -> str:
    """A command that runs the upstream daemon of a Debian suite."""
    done = subprocess.run([ROOT / 'tools/peer-virtiofsd', suite, CACHE], check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


def packaged_programs(suite: str, packages: list[str], programs: list[str]) -> dict[str, str]:
    """Programs of a Debian suite with their loader and libraries, for a guest's `extra`; called by their names."""
    root = unpack(f'{"+".join(packages)}-{suite}', suite, *packages)
    libraries = sorted({path.parent for path in root.rglob('*.so*')}, key=lambda path: len(path.parts))
    loader = next(path for path in root.rglob('ld-linux-x86-64.so.2') if path.is_file())
    files = {'/lib64/ld-linux-x86-64.so.2': str(loader)}
    for program in programs:
        binary = root / 'usr/bin' / program
        listed = subprocess.run([loader, '--library-path', ':'.join(map(str, libraries)), '--list', binary],
                                check=True, capture_output=True, text=True).stdout
        for line in listed.splitlines():
            name, arrow, path = line.strip().partition(' => ')
            if arrow:
                files[f'/lib/x86_64-linux-gnu/{name}'] = path.split(' (')[0]
        files[f'/bin/{program}'] = str(binary)
    return files


def make_initramfs(directory: pathlib.Path, extra: dict[str, str]) -> pathlib.Path:
    """Busybox, the command loop, and `extra`: path in the guest -> static file of the host."""
    tree = directory / 'initramfs'
    for name in ('bin', 'dev', 'proc', 'sys', 'tmp', 'mnt', 'etc'):
        (tree / name).mkdir(parents=True)
    shutil.copy('/bin/busybox', tree / 'bin/busybox')
    (tree / 'init').write_text(INIT)
    (tree / 'init').chmod(0o755)
    (tree / 'etc/passwd').write_text('root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n')
    (tree / 'etc/group').write_text('root:x:0:\nuser:x:1000:\nextra:x:2000:user\n')
    for inside, outside in extra.items():
        target = tree / inside.lstrip('/')
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(outside, target)
        target.chmod(0o755)
    names = '\n'.join(p.relative_to(tree).as_posix() for p in sorted(tree.rglob('*')))
    archive = subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0'], cwd=tree,
                             input=names.encode(), check=True, capture_output=True).stdout
    image = directory / 'initramfs.gz'
    image.write_bytes(gzip.compress(archive, 1))
    shutil.rmtree(tree)
    return image


class Daemon:
    """One virtiofsd process serving one directory on one socket; its log is kept for the failure report.
    `seen_at`: where the test finds the socket, if the daemon runs among other mounts."""

    def __init__(self, binary: str, shared_dir, *options: str, socket_path=None, seen_at=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-daemon-'))
        self.socket = str(socket_path or self.directory / 'fs.sock')
        self.seen_at = str(seen_at or self.socket)
        self.log = self.directory / 'log'
        with open(self.log, 'wb') as log:
            self.process = lifetime.start(
                [*binary.split(), f'--socket-path={self.socket}', f'--shared-dir={shared_dir}', *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_for_socket()

    def _wait_for_socket(self):
        deadline = time.monotonic() + 20
        while not os.path.exists(self.seen_at):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise GuestError(f'the daemon did not listen: {self.log_text()}')
            time.sleep(0.02)

    def log_text(self) -> str:
        return self.log.read_text(errors='replace')

    def serving_pid(self) -> int:
        """The process that serves: with the namespace sandbox, the child of the one that was started."""
        pid = self.process.pid
        children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
        return int(children[0]) if children else pid

    def fd_count(self) -> int:
        return len(os.listdir(f'/proc/{self.serving_pid()}/fd'))

    def wait(self, timeout: float = 20) -> int:
        """Its exit status; a daemon ends when its front-end has gone."""
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        self.close()
        if kind is not None and self.log.exists():  # gone when the test ended the daemon itself
            print(f'--- log of the daemon on {self.socket}\n{self.log_text()}', file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclasses.dataclass
class Share:
    tag: str
    socket: str
    queues: int = 1
    queue_size: int = 1024


class Qmp:
    """QEMU's monitor: one command at a time, events are kept in order."""

    def __init__(self, path: str, process: subprocess.Popen, timeout: float = 30):
        self.socket = connect(path, timeout, process)
        self.reader = self.socket.makefile('rb')
        self.events = []
        self._read()
        self.execute('qmp_capabilities')

    def _read(self) -> dict:
        line = self.reader.readline()
        if not line:
            raise GuestError('QEMU closed its monitor')
        return json.loads(line)

    def execute(self, command: str, **arguments):
        self.socket.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode())
        while True:
            answer = self._read()
            if 'event' in answer:
                self.events.append(answer)
            elif 'error' in answer:
                raise GuestError(f'QMP {command}: {answer["error"]["desc"]}')
            else:
                return answer['return']


def connect(path: str, timeout: float, process: subprocess.Popen) -> socket.socket:
    """To a socket that the process makes."""
    deadline = time.monotonic() + timeout
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(timeout)
        try:
            client.connect(path)
            return client
        except OSError:
            client.close()
            if time.monotonic() > deadline or process.poll() is not None:
                raise GuestError(f'nobody listens on {path}') from None
            time.sleep(0.05)


class Guest:
    """A QEMU with a booted guest. `extra` brings static programs in; `incoming` waits for a migration;
    `share_arguments` are the arguments for memory and shares, where a test does not want ours; `backend` is what the
    memory is; `more` come on top; `prefix` are the words of a command that runs QEMU somewhere else."""

    def __init__(self, shares: list[Share], *, memory: int = 512, cpus: int = 2,
                 extra: dict[str, str] | None = None, incoming: str | None = None,
                 accel: str | None = None, image: pathlib.Path | None = None, boot: bool = True,
                 reboots: bool = False, share_arguments: list[str] | None = None, more: list[str] | None = None,
                 prefix: list[str] | None = None, backend: str = SHARED_MEMORY):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-guest-'))
        self.image = image or make_initramfs(self.directory, extra or {})
        self.reboots = reboots
        self.buffer = b''
        self.command = b''
        self.shell = None
        if share_arguments is None:
            share_arguments = self._share_arguments(shares, memory, backend)
        arguments = share_arguments + (more or [])
        command = [*(prefix or []), *self._command(arguments, cpus, accel or pick_accel(), incoming)]
        command.append('-no-shutdown' if incoming else '-no-reboot')
        if reboots:
            command.remove('-no-reboot')
        self.qemu_log = open(self.directory / 'qemu.log', 'wb')
        self.process = lifetime.start(command, stdin=subprocess.DEVNULL, stdout=self.qemu_log, stderr=self.qemu_log)
        try:
            self.qmp = Qmp(str(self.directory / 'qmp'), self.process)
            self.shell = connect(str(self.directory / 'shell'), 10, self.process)
            if boot and incoming is None:
                self._wait_until_up()
        except (OSError, GuestError) as error:
            text = self.report()
            self.__exit__()
            raise GuestError(f'{error}\n{text}') from None

    @staticmethod
    def _share_arguments(shares, memory, backend):
        arguments = ['-m', f'{memory}M', '-machine', 'memory-backend=mem',
                     '-object', f'{backend},id=mem,size={memory}M']
        for number, share in enumerate(shares):
            arguments += [
                '-chardev', f'socket,id=fs{number},path={share.socket}', '-device',
                f'vhost-user-fs-pci,id=vfs{number},queue-size={share.queue_size},chardev=fs{number},'
                f'tag={share.tag},num-request-queues={share.queues},addr={number + 4:x}']
        return arguments

    def _command(self, share_arguments, cpus, accel, incoming):
        command = [
            QEMU, '-machine', f'q35,accel={accel}', '-nodefaults', '-display', 'none',
            '-cpu', 'host' if accel == 'kvm' else 'max', '-smp', str(cpus), *share_arguments,
            '-kernel', str(kernel()), '-initrd', str(self.image),
            '-append', 'console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on',
            '-qmp', f'unix:{self.directory}/qmp,server=on,wait=off',
            '-serial', f'file:{self.directory}/console',
            '-chardev', f'socket,id=shell,path={self.directory}/shell,server=on,wait=off',
            '-serial', 'chardev:shell',
        ]
        if incoming:
            command += ['-incoming', incoming]
        return command

    def _read_until(self, marker: bytes, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while marker not in self.buffer:
            self.shell.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.shell.recv(65536)
            except TimeoutError:
                raise GuestError(f'the guest did not answer within {timeout:.0f} s\n{self.report()}') from None
            if not data:
                raise GuestError(f'the guest is gone\n{self.report()}')
            self.buffer += data.replace(b'\r', b'')
            if DAMAGED in self.buffer:  # a busy guest's serial port overruns: it heard half of it
                self.buffer = self.buffer.replace(DAMAGED, b'')
                self._send_command()
        head, self.buffer = self.buffer.split(marker, 1)
        return head

    def start(self, script: str):
        """Sends a command without waiting for its end; finish() collects it."""
        self.command = command_line(script)
        self._send_command()

    def _send_command(self):
        self.shell.settimeout(30)
        self.shell.sendall(self.command)

    def finish(self, timeout: float = 60) -> tuple[int, str]:
        output = self._read_until(b'@@exit ', timeout)
        status = int(self._read_until(b'\n', 10))
        return status, output.decode(errors='replace')

    def run(self, script: str, timeout: float = 60, check: bool = True) -> str:
        """Runs a shell script in the guest and gives what it printed."""
        self.start(script)
        status, output = self.finish(timeout)
        if check and status != 0:
            raise GuestError(f'{script!r} ended with {status} in the guest:\n{output}\n{self.report()}')
        return output

    def _wait_until_up(self):
        """Until INIT's loop takes commands. Once in some thousand boots under TCG the second CPU comes up with a dead
        timer, and what runs there never wakes up: such a machine is reset before anything is tried on it."""
        try:
            self._read_until(READY, BOOT_TIMEOUT)
        except GuestError:
            if DEAD_TIMER not in self.report():
                raise
            print('a CPU of the guest has a dead timer: the machine is reset', file=sys.stderr)
            self.qmp.execute('set-action', reboot='reset')  # lifts -no-reboot, which makes QEMU end instead
            self.qmp.execute('system_reset')
            self._read_until(READY, BOOT_TIMEOUT)
            self.qmp.execute('set-action', reboot='reset' if self.reboots else 'shutdown')

    def reboot(self):
        """Resets the machine under the guest's feet and waits until it is up again."""
        self.qmp.execute('system_reset')
        self._wait_until_up()

    def report(self) -> str:
        lines = []
        for name in ('console', 'qemu.log'):
            path = self.directory / name
            if path.exists():
                lines.append(f'--- {name}')
                lines += path.read_text(errors='replace').splitlines()[-25:]
        return '\n'.join(lines)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.shell:
            self.shell.close()
        self.qemu_log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def pick_accel() -> str:
    """kvm where a stock kernel really boots with it, else tcg. Found out once per boot of the host by trying:
    a /dev/kvm that exists proves nothing."""
    forced = os.environ.get('VFSKIT_ACCEL')
    if forced:
        return forced
    boot_id = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    CACHE.mkdir(parents=True, exist_ok=True)
    known = CACHE / f'accel-{boot_id}'
    if not known.exists():
        known.write_text('kvm' if _boots_with_kvm() else 'tcg')
    return known.read_text()


def _boots_with_kvm() -> bool:
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return False
    global BOOT_TIMEOUT
    usual, BOOT_TIMEOUT = BOOT_TIMEOUT, 15
    try:
        with contextlib.suppress(GuestError), Guest([], accel='kvm') as guest:
            guest.run('true', 10)
            return True
        return False
    finally:
        BOOT_TIMEOUT = usual

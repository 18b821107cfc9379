# SPDX-License-Identifier: Apache-2.0
"""Two libvirt hosts on one machine, with our hook, for tests of migration between them.

    with Hosts() as hosts:
        for host in hosts.both():
            host.install_vfskit(HOOK, VFSCTL, VIRTIOFSD, WRAPPER)
        hosts.start()
        hosts.a.define(domain_xml('web', image, filesystems, shares_metadata(films='media')))
        hosts.a.virsh('start', 'web')
        hosts.a.shell.connect(waits_for_boot=True)
        hosts.a.migrate('web', hosts.b)
        hosts.b.shell.run('ls /mnt')

Each host is a libvirtd with its own mounts, network, host name and processes: everything that it starts ends
with it, and neither this machine's libvirt nor its files are touched. What a host keeps below /run, /etc/libvirt,
/etc/vfskit and /var/lib/libvirt is its own; the rest of the file system is shared, as on a cluster with a network
filesystem. Needs root.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import lifetime
import vm

ROOT = pathlib.Path(__file__).resolve().parents[3]
PRIVATE = ('/run', '/srv', '/etc/qemu', '/etc/libvirt', '/var/lib/libvirt', '/var/log/libvirt', '/var/cache/libvirt')
TOOLS = ('unshare', 'nsenter', 'libvirtd', 'virtlogd', 'virsh', 'qemu-system-x86_64', 'ip')
OF_LIBVIRT = ('usr/sbin/libvirtd', 'usr/bin/virsh', 'usr/lib/libvirt', 'usr/share/libvirt',
              'usr/lib/x86_64-linux-gnu/libvirt')
START_TIMEOUT = 90
SHELL = '/run/guest/shell.sock'
# The first process of a host. It must wait for orphans: libvirt thinks that a dead QEMU lives as long as nobody did.
INIT = 'while :; do sleep 1; done'


def unpack_old_libvirt() -> pathlib.Path:
    """libvirt 9.0, which cannot migrate shares, for Host.use_libvirt_of()."""
    return vm.unpack('libvirt-bookworm', 'bookworm', 'libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-clients')


def run(*command, check=True, timeout=300) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f'{" ".join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}')
    return done


class GuestShell:
    """The command loop of the test guest (vm.INIT), through the socket of its second serial port."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = None
        self.buffer = b''
        self.command = b''

    def connect(self, waits_for_boot=False):
        """Again after every migration: the socket is QEMU's, and QEMU is another one."""
        deadline = time.monotonic() + vm.BOOT_TIMEOUT
        while True:
            if self.socket:
                self.socket.close()
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(self.path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.buffer = b''
        if waits_for_boot:
            self._until(vm.READY, vm.BOOT_TIMEOUT)

    def _until(self, marker, timeout):
        deadline = time.monotonic() + timeout
        while marker not in self.buffer:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.socket.recv(65536)
            assert data, 'the guest is gone'
            self.buffer += data.replace(b'\r', b'')
            if vm.DAMAGED in self.buffer:
                self.buffer = self.buffer.replace(vm.DAMAGED, b'')
                self._send()
        head, self.buffer = self.buffer.split(marker, 1)
        return head

    def _send(self):
        self.socket.settimeout(30)
        self.socket.sendall(self.command)

    def run(self, script, timeout=90) -> str:
        self.command = vm.command_line(script)
        self._send()
        output = self._until(b'@@exit ', timeout).decode(errors='replace')
        status = int(self._until(b'\n', 10))
        assert status == 0, f'{script!r} ended with {status} in the guest:\n{output}'
        return output


class Host:
    def __init__(self, hosts, name, number):
        self.name = name
        self.address = f'10.77.0.{number}'
        self.uri = f'qemu+tcp://{self.address}/system'
        self.hosts = hosts
        self.keeper = lifetime.start(
            ['unshare', '--mount', '--net', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc',
             '--propagation', 'private', 'sh', '-c', INIT], stdin=subprocess.DEVNULL)
        self.pid = self._first_process()
        self._mount()
        self.shell = GuestShell(f'/proc/{self.pid}/root{SHELL}')

    def _first_process(self) -> int:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children = pathlib.Path(f'/proc/{self.keeper.pid}/task/{self.keeper.pid}/children').read_text().split()
            if children and pathlib.Path(f'/proc/{children[0]}/comm').read_text().strip() == 'sh':
                return int(children[0])
            time.sleep(0.02)
        raise AssertionError('the namespaces of a host could not be made')

    def enter(self) -> list[str]:
        """The words before a command that is to run on this host."""
        return ['nsenter', f'--target={self.pid}', '--mount', '--net', '--uts', '--pid', '--']

    def run(self, *command, check=True, timeout=300) -> subprocess.CompletedProcess:
        """Runs a command on this host."""
        return run(*self.enter(), *command, check=check, timeout=timeout)

    def path(self, inside) -> pathlib.Path:
        """A file of this host as the test reaches it."""
        return pathlib.Path(f'/proc/{self.pid}/root{inside}')

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def _mount(self):
        for directory in PRIVATE + ('/etc/vfskit',):
            os.makedirs(directory, exist_ok=True)
            self.run('mount', '-t', 'tmpfs', 'tmpfs', directory)
        # Both hosts would otherwise put their guests into the same control groups.
        self.run('umount', '-l', '/sys/fs/cgroup', check=False)
        self.run('hostname', self.name)
        self.run('ip', 'link', 'set', 'lo', 'up')
        self.write('/run/nsswitch.conf', 'hosts: files\npasswd: files\ngroup: files\n')
        self.run('mount', '--bind', '/run/nsswitch.conf', '/etc/nsswitch.conf')
        if os.path.exists('/dev/kvm'):
            # One that exists and does not work makes libvirt probe QEMU anew on each call.
            self.write('/run/no-kvm', '', 0)
            self.run('mount', '--bind', '/run/no-kvm', '/dev/kvm')
        for directory in ('/run/lock', '/run/guest', '/var/log/libvirt/qemu', '/etc/libvirt/hooks/qemu.d'):
            self.path(directory).mkdir(parents=True)
        self.path('/run/guest').chmod(0o777)

    def install_vfskit(self, hook, vfsctl, virtiofsd, wrapper):
        """The programs of this build, as a node has them installed; `virtiofsd` may be elsewhere on each."""
        shutil.copy(hook, self.path('/etc/libvirt/hooks/qemu.d/vfskit'))
        self.write('/etc/vfskit/libvirt.conf',
                   f'daemon = {virtiofsd}\nvfsctl = {vfsctl}\nwrapper = {wrapper}\n')
        self.write('/etc/qemu/vhost-user/50-vfskit-virtiofsd.json',
                   json.dumps({'description': 'vfskit', 'type': 'fs', 'binary': str(virtiofsd)}))

    def start_libvirt(self):
        self.write('/etc/libvirt/libvirtd.conf',
                   f'auth_unix_rw = "none"\nlisten_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
                   f'listen_addr = "{self.address}"\n'
                   f'host_uuid = "5f1f9f6e-53a1-4c0b-8a67-0a6f6a2d2c{self.address[-1]:0>2}"\n')
        self.write('/etc/libvirt/qemu.conf',
                   'user = "nobody"\ngroup = "kvm"\nsecurity_driver = "none"\nnamespaces = []\n'
                   'remember_owner = 0\ncgroup_controllers = []\n')
        self.run('virtlogd', '-d')
        self._start_libvirtd()

    def _start_libvirtd(self):
        self.run('libvirtd', '-d', '-l')
        deadline = time.monotonic() + START_TIMEOUT
        while self.virsh('uri', check=False).returncode != 0:
            assert time.monotonic() < deadline, f'libvirtd of {self.name} does not answer'
            time.sleep(0.2)

    def restart_libvirtd(self):
        self._stop_libvirtd()
        self._start_libvirtd()

    def _stop_libvirtd(self):
        self.run('sh', '-c', 'kill $(cat /run/libvirtd.pid); '
                             'while kill -0 $(cat /run/libvirtd.pid 2>/dev/null) 2>/dev/null; do sleep 0.1; done')

    def use_libvirt_of(self, root: pathlib.Path):
        """From now on this host runs the libvirt that is unpacked below `root`, with libraries of its own only
        where this machine has none of the name."""
        self._stop_libvirtd()
        libraries = self.path('/run/other-libraries')
        libraries.mkdir()
        for directory in (root / 'usr/lib/x86_64-linux-gnu', root / 'lib/x86_64-linux-gnu'):
            for library in directory.glob('lib*.so.*'):
                own = pathlib.Path('/') / library.relative_to(root)
                if library.name.startswith('libvirt') or not own.exists():
                    (libraries / library.name).symlink_to(library)
        self.write('/run/ld.so.conf', '/run/other-libraries\ninclude /etc/ld.so.conf\n')
        self.run('ldconfig', '-X', '-f', '/run/ld.so.conf', '-C', '/run/ld.so.cache')
        self.run('mount', '--bind', '/run/ld.so.cache', '/etc/ld.so.cache')
        for part in OF_LIBVIRT:
            self.run('mount', '--bind', root / part, f'/{part}')
        self._start_libvirtd()

    def use_own_libvirt(self):
        """Takes use_libvirt_of() back."""
        self._stop_libvirtd()
        for part in (*OF_LIBVIRT, 'etc/ld.so.cache'):
            self.run('umount', '-l', f'/{part}')
        shutil.rmtree(self.path('/run/other-libraries'))
        self._start_libvirtd()

    def virsh(self, *words, check=True, timeout=300) -> subprocess.CompletedProcess:
        return self.run('virsh', '-q', '-c', 'qemu:///system', *words, check=check, timeout=timeout)

    def define(self, xml):
        self.write('/run/domain.xml', xml)
        self.virsh('define', '/run/domain.xml')

    def state(self, name) -> str:
        return self.virsh('domstate', name, check=False).stdout.strip()

    def migrate(self, name, target, *words, check=True) -> subprocess.CompletedProcess:
        """To the other host, by hand as an administrator does."""
        memory = () if '--tunnelled' in words else ('--migrateuri', f'tcp://{target.address}')
        done = self.virsh('migrate', '--live', name, target.uri, *memory, *words, check=check)
        if done.returncode == 0:
            target.shell.connect()
        return done

    def log(self) -> str:
        lines = []
        for path in sorted(self.path('/var/log/libvirt/qemu').glob('*.log')):
            lines += [f'--- {self.name}: {path.name}', *path.read_text(errors='replace').splitlines()[-25:]]
        return '\n'.join(lines)

    def close(self):
        self.keeper.kill()
        self.keeper.wait()


class Hosts:
    """host-a and host-b, wired, with libvirt running on both once start() was called."""

    def __init__(self):
        assert os.geteuid() == 0, 'this test needs root'
        for tool in TOOLS:
            assert shutil.which(tool), f'{tool} is missing; install what tools/install-deps test installs'
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-hosts-'))
        self.directory.chmod(0o755)
        self.a = Host(self, 'host-a', 1)
        self.b = Host(self, 'host-b', 2)
        self._wire()

    def _wire(self):
        # The peer's namespace is named by a process of this machine.
        run('nsenter', f'--target={self.a.pid}', '--net', '--', 'ip', 'link', 'add', 'wire', 'type', 'veth',
            'peer', 'name', 'wire', 'netns', str(self.b.pid))
        for host in (self.a, self.b):
            host.run('ip', 'addr', 'add', f'{host.address}/24', 'dev', 'wire')
            host.run('ip', 'link', 'set', 'wire', 'up')

    def both(self):
        return self.a, self.b

    def start(self):
        for host in self.both():
            host.start_libvirt()

    def close(self):
        for host in self.both():
            host.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc and exc[0]:
            print(self.a.log(), self.b.log(), sep='\n')
        self.close()


def domain_xml(name, image, filesystems, metadata='', kernel=None) -> str:
    """A small guest with the test's command loop, and whatever <filesystem> elements it is given."""
    return f'''<domain type='qemu'>
  <name>{name}</name>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>256</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel or vm.kernel()}</kernel>
    <initrd>{image}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    {filesystems}
    <serial type='file'><source path='/run/guest/console'/><target port='0'/></serial>
    <serial type='unix'><source mode='bind' path='{SHELL}'/><target port='1'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
'''


def shares_metadata(**dirids) -> str:
    """Our metadata: tag=dirid, or tag=(dirid, {'cache': 'always'})."""
    rows = []
    for tag, value in dirids.items():
        dirid, options = value if isinstance(value, tuple) else (value, {})
        words = ''.join(f" {key}='{option}'" for key, option in options.items())
        rows.append(f"<vfskit:share tag='{tag}' dirid='{dirid}'{words}/>")
    return f"<vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>{''.join(rows)}</vfskit:shares>"

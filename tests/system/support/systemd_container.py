# SPDX-License-Identifier: Apache-2.0
"""A real systemd, in a container of this Debian release, for what is started as a unit.

    with SystemdContainer([VFSCTL, VIRTIOFSD]) as systemd:
        systemd.run('systemctl', 'is-system-running')

The root is made once by debootstrap, kept below the tests' cache and never written to: the container has a
tmpfs over it. Programs of this build are bound in at their own paths, with the libraries they need. The
container's control groups are a subtree of their own, with every controller that this host has.
"""
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import lifetime

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get('VFSKIT_TEST_CACHE', '/var/tmp/vfskit-peers'))
CGROUPS = pathlib.Path('/sys/fs/cgroup')
BOOT_TIMEOUT = 90
# Debian's own, which every root has in the right version.
BASE_LIBRARIES = ('ld-linux', 'libc.so', 'libm.so', 'libdl.so', 'libpthread.so', 'librt.so', 'libresolv.so')

# The first process: makes version 1's control groups writable, which nspawn does not, and becomes systemd.
INIT = """#!/bin/sh
for controller in blkio cpu cpuacct memory pids cpuset; do
    [ ! -d /sys/fs/cgroup/$controller ] || mount -o remount,rw,bind /sys/fs/cgroup/$controller
done
exec /lib/systemd/systemd
"""


def run(*command, check=True, timeout=600, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout,
                          **options)
    if check and done.returncode != 0:
        raise AssertionError(f'{shlex.join(str(w) for w in command)}: status {done.returncode}\n'
                             f'{done.stdout}{done.stderr}')
    return done


def debian_root() -> pathlib.Path:
    """A minimal Debian with systemd, as the release that this host has."""
    script = '. tools/lib-apt.sh; echo "$(debian_codename) $(debian_archive_uri)"'
    codename, uri = run('bash', '-c', script, cwd=ROOT).stdout.split()
    root = CACHE / f'systemd-{codename}'
    if not (root / '.complete').exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        run('debootstrap', '--variant=minbase', '--include=systemd,systemd-sysv,dbus', codename, root, uri)
        (root / '.complete').touch()
    return root


def libraries_of(programs) -> dict[str, str]:
    """Name to path of what the programs load and Debian's minimal system may lack."""
    found = {}
    for program in programs:
        for line in run('ldd', program).stdout.splitlines():
            words = line.split()
            if '=>' in words and len(words) > 2 and not words[0].startswith(BASE_LIBRARIES):
                found[words[0]] = words[2]
    return found


class ControlGroups:
    """A control group for the container in each hierarchy; removed with all that is in it."""

    def __init__(self, name: str):
        hierarchies = [line.split()[1] for line in pathlib.Path('/proc/mounts').read_text().splitlines()
                       if line.split()[2] in ('cgroup', 'cgroup2')]
        assert hierarchies, 'no control groups are mounted; systemd needs them'
        self.groups = []
        for hierarchy in map(pathlib.Path, hierarchies):
            controllers = hierarchy / 'cgroup.controllers'
            if controllers.exists():
                # Version 2: controllers are passed down where nobody lives in the group itself.
                for controller in controllers.read_text().split():
                    self._write(hierarchy / 'cgroup.subtree_control', f'+{controller}')
            group = hierarchy / name
            group.mkdir(exist_ok=True)
            if (group / 'cpuset.cpus').exists() and not controllers.exists():
                for key in ('cpuset.cpus', 'cpuset.mems'):
                    (group / key).write_text((hierarchy / key).read_text())
            self.groups.append(group)

    @staticmethod
    def _write(path: pathlib.Path, text: str) -> bool:
        try:
            path.write_text(text)
            return True
        except OSError:
            return False

    def enter(self):
        """For the child before it becomes the container."""
        for group in self.groups:
            (group / 'cgroup.procs').write_text('0')

    def close(self):
        for group in self.groups:
            for place in sorted(group.rglob('*'), key=lambda path: -len(path.parts)):
                if place.is_dir():
                    self._remove(place)
            self._remove(group)

    @staticmethod
    def _remove(place: pathlib.Path):
        for _ in range(100):
            try:
                place.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)


class SystemdContainer:
    def __init__(self, programs, binds=()):
        assert os.geteuid() == 0, 'this test needs root'
        for tool in ('systemd-nspawn', 'debootstrap', 'nsenter', 'ldd'):
            assert shutil.which(tool), f'{tool} is missing; install what tools/install-deps test installs'
        root = debian_root()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-systemd-'))
        libraries = self.directory / 'lib'
        libraries.mkdir()
        for name, path in libraries_of(programs).items():
            shutil.copy(path, libraries / name)
        init = self.directory / 'init'
        init.write_text(INIT)
        init.chmod(0o755)
        (self.directory / 'ld.conf').write_text('/opt/test-lib\n')
        self.groups = ControlGroups(f'vfskit-test-{os.getpid()}')
        command = ['systemd-nspawn', '--quiet', '--register=no', '--keep-unit', '--volatile=overlay',
                   '--machine=vfskit-test', '--console=pipe', '--private-network',
                   f'--directory={root}',
                   f'--bind-ro={libraries}:/opt/test-lib', f'--bind-ro={init}:/opt/init',
                   f'--bind-ro={self.directory / "ld.conf"}:/etc/ld.so.conf.d/00-test.conf',
                   *(f'--bind-ro={program}' for program in programs),
                   *(f'--bind={bind}' for bind in binds),
                   '/opt/init']
        self.log = open(self.directory / 'console', 'wb')
        self.process = lifetime.start(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      preexec_fn=self.groups.enter)
        try:
            self.init = self._find_init()
            self._wait_until_up()
            self.run('ldconfig')
        except BaseException:
            self.close()
            raise

    def console(self) -> str:
        return (self.directory / 'console').read_text(errors='replace')[-3000:]

    def _find_init(self) -> int:
        """The container's first process, once it is systemd."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f'the container ended:\n{self.console()}'
            children = pathlib.Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children')
            for child in children.read_text().split():
                try:
                    if pathlib.Path(f'/proc/{child}/comm').read_text().strip() == 'systemd':
                        return int(child)
                except OSError:
                    pass
            time.sleep(0.1)
        raise AssertionError(f'systemd does not start in the container:\n{self.console()}')

    def _wait_until_up(self):
        deadline = time.monotonic() + BOOT_TIMEOUT
        state = ''
        while time.monotonic() < deadline:
            state = self.run('systemctl', 'is-system-running', check=False).stdout.strip()
            if state in ('running', 'degraded'):
                return
            time.sleep(0.2)
        raise AssertionError(f'systemd in the container is {state!r}:\n{self.console()}')

    def run(self, *words, check=True, timeout=120, env=()) -> subprocess.CompletedProcess:
        """Runs a command in the container, as root, beside systemd's control group."""
        return run('nsenter', f'--target={self.init}', '--all', '--', '/usr/bin/env', '-i',
                   'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', *env, *words,
                   check=check, timeout=timeout)

    def path(self, inside: str) -> pathlib.Path:
        """A path of the container as this host reaches it."""
        return pathlib.Path(f'/proc/{self.init}/root{inside}')

    def close(self):
        if self.process.poll() is None:
            if hasattr(self, 'init'):
                os.kill(self.init, signal.SIGRTMIN + 4)  # systemd: power off
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.groups.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc and exc[0]:
            print(self.console())
        self.close()

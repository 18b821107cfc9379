#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Needs: root, debootstrap, an apt source, what tools/build-packages needs.

Installs, upgrades and removes our packages with dpkg in a fresh root of a Debian release, beside packages with the
names and files of Proxmox VE's, and looks at what is left. Without arguments: packages of this machine's release,
built first.

    install_remove.py [--suite SUITE] [--packages DIR]
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAKES = ROOT / 'tests' / 'pve-plugin' / 'fakes'
VIRTIOFSD = 'usr/libexec/virtiofsd'
DISTRIB = 'usr/libexec/virtiofsd.distrib'
SHIM = '/usr/share/vfskit/pve-plugin/shim.pm'
TIMER = 'etc/systemd/system/timers.target.wants/vfskit-pve.timer'
# One of each kind of file that the packages bring beside their programs.
CONTENT = {
    'vfskit': ['/usr/share/man/man1/vfsctl.1.gz', '/usr/share/man/man1/vfskit-virtiofsd.1.gz',
               '/usr/share/man/man5/vfskit-mappings.5.gz', '/usr/share/man/man5/vfskit-pve.yaml.5.gz',
               '/usr/share/man/man8/vfskit-qemu-hook.8.gz',
               '/usr/share/bash-completion/completions/vfsctl', '/usr/share/zsh/vendor-completions/_vfsctl',
               '/usr/share/fish/vendor_completions.d/vfsctl.fish', '/usr/share/qemu/vhost-user/50-vfskit-virtiofsd.json',
               '/etc/libvirt/hooks/qemu.d/vfskit', 'vfskit-virtiofsd@.service', 'vfskit-virtiofsd@.socket',
               'vfskit-node-publish.service', 'vfskit-node-publish.timer', 'vfskit-watch.service'],
    'vfskit-pve': ['/etc/vfskit/pve.yaml', 'vfskit-pve.timer'],
}
# What changes with every call of dpkg or apt, and what is mounted.
VOLATILE = ('var/lib/dpkg', 'var/lib/apt', 'var/cache', 'var/log', 'proc', 'dev', 'sys', 'run', 'tmp', 'debs',
            'var/lib/systemd', 'etc/ld.so.cache')


def run(command, **options):
    """Runs it and dies with what it said if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f'{" ".join(map(str, command))}\nended with {done.returncode}:\n{done.stdout}')
    return done.stdout


def shell(script):
    return run(['bash', '-euo', 'pipefail', '-c', f'cd {ROOT}/tools && . ./lib-apt.sh && {script}']).strip()


def make_package(directory, name, version, files, depends=''):
    """A package with these files ({path: (content, mode)}); its .deb."""
    tree = directory / f'{name}-{version}'
    (tree / 'DEBIAN').mkdir(parents=True)
    (tree / 'DEBIAN' / 'control').write_text(
        f'Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a test <test@vfskit.invalid>\n'
        f'{depends}Description: stands for {name} of Proxmox VE in a test\n')
    for path, (content, mode) in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        target.chmod(mode)
    deb = directory / f'{name}_{version}.deb'
    run(['dpkg-deb', '--root-owner-group', '--build', tree, deb])
    return deb


def virtiofsd_package(directory, version):
    return make_package(directory, 'virtiofsd', version,
                        {VIRTIOFSD: (f'#!/bin/sh\necho "virtiofsd {version} of Debian"\n', 0o755)})


def proxmox_packages(directory):
    """Packages with the names that ours depends on, and fakes of the modules that it wraps."""
    modules = {path.relative_to(FAKES): path for path in FAKES.rglob('*.pm')}
    files = {f'usr/share/perl5/{name}': (path.read_text(), 0o644) for name, path in modules.items()}
    return [make_package(directory, 'libpve-guest-common-perl', '6.0.2', files),
            make_package(directory, 'qemu-server', '9.2.6', {})]


def next_version(directory, deb):
    """The package again, as the version behind it."""
    tree = directory / f'next-{deb.name}'
    run(['dpkg-deb', '--raw-extract', deb, tree])
    control = tree / 'DEBIAN' / 'control'
    version = run(['dpkg-deb', '--field', deb, 'Version']).strip()
    control.write_text(control.read_text().replace(version, version + '+next'))
    target = directory / f'next-{deb.name}'.replace('.deb', '_next.deb')
    run(['dpkg-deb', '--root-owner-group', '--build', tree, target])
    return target


class DebianRoot:
    def __init__(self, suite, base):
        self.path = base / 'root'
        template = pathlib.Path(f'/var/tmp/vfskit-package-root-{suite}')
        if not (template / '.complete').exists():
            shutil.rmtree(template, ignore_errors=True)
            run(['debootstrap', '--variant=minbase', suite, template, shell('debian_archive_uri')])
            (template / '.complete').touch()
        run(['cp', '-a', '--reflink=auto', template, self.path])
        (self.path / '.complete').unlink()
        shutil.copy('/etc/resolv.conf', self.path / 'etc/resolv.conf', follow_symlinks=True)
        (self.path / 'debs').mkdir()

    def call(self, *command):
        return run(['chroot', self.path, '/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root',
                    'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive', *command])

    def dpkg(self, verb, *debs):
        names = []
        for deb in debs:
            if isinstance(deb, pathlib.Path):
                shutil.copy(deb, self.path / 'debs' / deb.name)
                names.append(f'/debs/{deb.name}')
            else:
                names.append(deb)
        return self.call('dpkg', verb, *names)

    def install_dependencies(self, debs, ours):
        """From the archive, what our packages need of it."""
        names = set()
        for deb in debs:
            for part in run(['dpkg-deb', '--field', deb, 'Depends']).split(','):
                name = part.split('|')[0].split('(')[0].strip().split(':')[0]
                if name and name not in ours:
                    names.add(name)
        self.call('apt-get', '-q', 'update')
        self.call('apt-get', '-q', '-y', '--no-install-recommends', 'install', *sorted(names))

    def snapshot(self):
        """{path: what it is} of everything that is not volatile."""
        found = {}
        for folder, folders, files in os.walk(self.path):
            relative = os.path.relpath(folder, self.path)
            if relative.startswith(VOLATILE):
                folders.clear()
                continue
            for name in folders + files:
                path = pathlib.Path(folder) / name
                key = os.path.normpath(os.path.join(relative, name))
                if key.startswith(VOLATILE):
                    continue
                if path.is_symlink():
                    found[key] = f'link to {os.readlink(path)}'
                elif path.is_dir():
                    found[key] = 'directory'
                else:
                    digest = hashlib.sha1(path.read_bytes()).hexdigest()
                    found[key] = f'file {path.stat().st_mode:o} {digest}'
        return found

    def link(self, name):
        path = self.path / name
        return os.readlink(path) if path.is_symlink() else None

    def shims(self):
        folder = self.path / 'etc/perl/PVE'
        return sorted(str(path.relative_to(folder)) for path in folder.rglob('*.pm') if os.readlink(path) == SHIM)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f'{what}:\n  got    {got}\n  wanted {wanted}')
    print(f'ok: {what}')


def differences(before, after):
    names = sorted(set(before) | set(after))
    return [f'{name}: {before.get(name)} -> {after.get(name)}' for name in names if before.get(name) != after.get(name)]


def version_of(root, path):
    return root.call(path, '--version').split('\n')[0]


def look_at_content(root):
    for package, wanted in CONTENT.items():
        paths = root.call('dpkg', '--listfiles', package).split()
        missing = [name for name in wanted if not any(path.endswith(name) for path in paths)]
        expect(f'{package} has its manuals, completions and units', missing, [])


def look_at_installed(root):
    expect('the launcher has taken virtiofsd\'s place', root.link(VIRTIOFSD), '/usr/libexec/vfskit/virtiofsd-launcher')
    expect('the diversion is known', root.call('dpkg-divert', '--listpackage', '/' + VIRTIOFSD).strip(), 'vfskit-pve')
    expect('it runs our daemon', '(vfskit' in version_of(root, '/' + VIRTIOFSD), True)
    expect('the timer that keeps its facts fresh is enabled', bool(root.link(TIMER)), True)
    expect('every wrapped module has its stand-in', len(root.shims()),
           len(root.call('perl', '-MPVE::Vfskit', '-e', 'print PVE::Vfskit::wrapped_modules(), "\n"').split('PVE/')) - 1)
    said = root.call('perl', '-T', '-e', 'require PVE::Mapping::Dir; print $INC{"PVE/Mapping/Dir.pm"}')
    expect('perl -T loads a module through it', '/etc/perl/PVE/Mapping/Dir.pm' in said, True)


def try_packages(root, base, debs):
    ours = {'vfskit', 'vfskit-pve', 'libpve-guest-common-perl', 'qemu-server'}
    root.install_dependencies(debs, ours)
    root.dpkg('--install', *proxmox_packages(base), virtiofsd_package(base, '1.13.2'))
    bare = root.snapshot()

    root.dpkg('--install', *debs)
    look_at_installed(root)
    look_at_content(root)
    expect('the distribution\'s daemon is beside it', version_of(root, '/' + DISTRIB), 'virtiofsd 1.13.2 of Debian')
    expect('vfsctl runs', root.call('vfsctl', '--version').startswith('vfsctl'), True)

    root.dpkg('--install', virtiofsd_package(base, '1.14.0'))
    expect('an upgrade of virtiofsd goes beside it', version_of(root, '/' + DISTRIB), 'virtiofsd 1.14.0 of Debian')
    look_at_installed(root)

    root.dpkg('--install', *[next_version(base, deb) for deb in debs])
    look_at_installed(root)
    expect('an upgrade of ours leaves it there', version_of(root, '/' + DISTRIB), 'virtiofsd 1.14.0 of Debian')

    root.dpkg('--remove', 'vfskit-pve')
    expect('no stand-in is left', root.shims(), [])
    expect('no diversion is left', root.call('dpkg-divert', '--list', '*virtiofsd*').strip(), '')
    expect('virtiofsd is the distribution\'s', version_of(root, '/' + VIRTIOFSD), 'virtiofsd 1.14.0 of Debian')
    expect('no second copy is left', (root.path / DISTRIB).exists(), False)

    hooks = root.path / 'etc/libvirt/hooks/qemu.d'
    expect('libvirt finds the hook', [hook.name for hook in hooks.iterdir()], ['vfskit'])
    expect('it runs', root.call('/etc/libvirt/hooks/qemu.d/vfskit', 'web', 'stopped', 'end', '-'), '')
    root.dpkg('--remove', 'vfskit')
    expect('no hook is left, which would fail without the package', hooks.exists(), False)

    root.dpkg('--purge', 'vfskit-pve', 'vfskit', 'virtiofsd')
    root.dpkg('--install', virtiofsd_package(base / 'again', '1.13.2'))
    expect('nothing is left of both', differences(bare, root.snapshot()), [])

    # A node without any virtiofsd: the launcher brings the bundled one, and goes with it.
    root.dpkg('--purge', 'virtiofsd')
    without = root.snapshot()
    root.dpkg('--install', *debs)
    look_at_installed(root)
    root.dpkg('--purge', 'vfskit-pve', 'vfskit')
    expect('nothing is left without virtiofsd either', differences(without, root.snapshot()), [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--suite')
    parser.add_argument('--packages', type=pathlib.Path)
    options = parser.parse_args()
    suite = options.suite or shell('debian_codename')
    base = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-packages-', dir='/var/tmp'))
    (base / 'again').mkdir()
    try:
        packages = options.packages
        if packages is None:
            packages = base / 'built'
            print(run([ROOT / 'tools' / 'build-packages', packages]), flush=True)
        debs = [next(packages.glob('vfskit_*.deb')), next(packages.glob('vfskit-pve_*.deb'))]
        try_packages(DebianRoot(suite, base), base, debs)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == '__main__':
    main()

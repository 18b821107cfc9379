#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What does the libvirt hook cost per call, from exec to exit?

    bench/bench_hook.py HOOK WRAPPER VIRTIOFSD [--mappings 1000] [--runs 50]

libvirt calls it for every step of every domain and waits. The median and the worst of the runs are printed; the
aim is 10 ms for any call that starts no daemon, virtiofsd's two answers included (the line of one of them
says how much that is). Beside it stand the least that a program costs, and what a hook that only reads its input
costs in the languages that hooks are written in. Runs in a mount namespace of its own, where /etc/vfskit is empty;
as root, with real-time priority, so that what else the machine does counts little.
"""
import argparse
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

INSIDE = 'VFSKIT_BENCH_INSIDE'
CONFIG = pathlib.Path('/etc/vfskit')

DOMAIN = """<domain type='kvm'>
  <name>web</name>
  <metadata><vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>
    <vfskit:share tag='films' dirid='share-1'/></vfskit:shares></metadata>
  <devices>{}</devices>
</domain>
"""
SHARE = """<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/elsewhere'/><target dir='films'/>
</filesystem>"""
DISKS = ''.join(f"<disk type='file'><source file='/var/lib/images/{n}'/><target dev='vd{n}'/></disk>\n"
                for n in range(100))


def milliseconds(command, text, runs):
    """Median time, worst time, and CPU time per call: the last does not depend on what else this machine does."""
    took = []
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text.encode())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(runs):
            given.seek(0)
            files = [(os.POSIX_SPAWN_DUP2, given.fileno(), 0)]
            files += [(os.POSIX_SPAWN_DUP2, said.fileno(), stream) for stream in (1, 2)]
            begin = time.perf_counter()
            _, status = os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=files), 0)
            took.append((time.perf_counter() - begin) * 1000)
            if status != 0:
                said.seek(0)
                sys.exit(f'{command}: {said.read().decode()}')
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return statistics.median(took), max(took), cpu * 1000 / runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('hook')
    parser.add_argument('wrapper')
    parser.add_argument('virtiofsd')
    parser.add_argument('--mappings', type=int, default=1000)
    parser.add_argument('--runs', type=int, default=50)
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        CONFIG.mkdir(exist_ok=True)
        os.execvpe('unshare', ['unshare', '--mount', '--propagation', 'private', sys.executable, *sys.argv],
                   {**os.environ, INSIDE: '1'})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', CONFIG], check=True)
    node = platform.node().split('.')[0]
    (CONFIG / 'mappings.yaml').write_text('version: 1\nmappings:\n' + ''.join(
        f'  share-{n}:\n    live-migration-method: find-paths\n    nodes: {{{node}: /tmp}}\n'
        for n in range(arguments.mappings)))
    (CONFIG / 'libvirt.conf').write_text(
        f'wrapper = {os.path.abspath(arguments.wrapper)}\ndaemon = {os.path.abspath(arguments.virtiofsd)}\n')

    print(f'{platform.node()}, {os.cpu_count()} CPUs, Linux {platform.release()}, {arguments.mappings} mappings, '
          f'load {os.getloadavg()[0]:.1f}')
    ours = DOMAIN.format(DISKS + SHARE)
    other = DOMAIN.format(DISKS)
    hook = os.path.abspath(arguments.hook)
    calls = [
        ('started (not ours)', [hook, 'web', 'started', 'begin', '-'], ours),
        ('migrate, no shares', [hook, 'web', 'migrate', 'begin', '-'], other),
        ('prepare, libvirt-managed share', [hook, 'web', 'prepare', 'begin', '-'], ours),
        ('release, no daemon', [hook, 'web', 'release', 'end', 'shutdown'], ours),
        ('reconnect, no daemon', [hook, 'web', 'reconnect', 'begin', '-'], ours),
        ('migrate, rewritten and checked', [hook, 'web', 'migrate', 'begin', '-'], ours),
        ('virtiofsd --print-capabilities', [os.path.abspath(arguments.virtiofsd), '--print-capabilities'], ''),
        ('/bin/true, the floor', ['/bin/true'], ''),
        ('a hook in shell', ['/bin/sh', '-c', 'cat >/dev/null'], ours),
        ('a hook in Python', ['/usr/bin/python3', '-c', 'import sys; sys.stdin.read()'], ours),
        ('a hook in Python that reads XML',
         ['/usr/bin/python3', '-c', 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.stdin)'], ours),
    ]
    for name, command, text in calls:
        median, worst, cpu = milliseconds(command, text, arguments.runs)
        print(f'{name:33}{median:7.2f} ms   worst {worst:7.2f} ms   CPU {cpu:6.2f} ms')


if __name__ == '__main__':
    main()

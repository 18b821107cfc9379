#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long does one vfsctl command take on a big cluster, from exec to exit, and how much memory?

    bench/bench_vfsctl.py VFSCTL [--mappings 10000] [--nodes 16] [--runs 5]

Each verb runs on a private copy of the store; the median of the runs is printed. The aim is 100 ms and 64 MiB
on one core for any single command.
"""
import argparse
import os
import pathlib
import platform
import shutil
import statistics
import tempfile
import time

DOMAIN = """<domain type='kvm'>
  <name>web</name>
  <memory unit='GiB'>4</memory>
  <os><type>hvm</type></os>
  <devices>
  </devices>
</domain>
"""


def write_yaml(path, mappings, nodes):
    with open(path, 'w') as out:
        out.write('# A big cluster\nversion: 1\nmappings:\n')
        for m in range(mappings):
            out.write(f'  share-{m}:\n    description: Directory {m}\n'
                      '    live-migration-method: find-paths\n    path-relation: replicas\n    nodes:\n')
            out.writelines(f'      node{n}: /srv/shares/{m}\n' for n in range(nodes))


def write_pve(root, mappings, nodes):
    (root / 'mapping').mkdir(parents=True)
    with open(root / 'mapping/directory.cfg', 'w') as out:
        for m in range(mappings):
            out.write(f'share-{m}\n')
            out.writelines(f'\tmap node=node{n},path=/srv/shares/{m}\n' for n in range(nodes))
            out.write(f'\tdescription Directory {m}\n\n')


def verbs(middle):
    share = ('--node', 'node3', '--dialect', 'rust-1.14')
    return [
        ('--version',),
        ('mapping', 'list'),
        ('mapping', 'list', '--json'),
        ('mapping', 'list', '--node', 'node3', '--method', 'find-paths'),
        ('mapping', 'show', middle),
        ('mapping', 'show', 'share-nope'),
        ('mapping', 'add', 'new-share', 'node1:/srv/new'),
        ('mapping', 'set', middle, '--path', 'node1:/elsewhere'),
        ('mapping', 'set', middle, '--path', 'node1:/elsewhere', '--dry-run'),
        ('mapping', 'remove', middle),
        ('mapping', 'export'),
        ('mapping', 'export', '--json'),
        ('mapping', 'import', 'whole.yaml'),
        ('mapping', 'doctor'),
        ('daemon', 'command', middle, '--vm', '100', *share),
        ('qemu', 'args', middle, '--vm', '100', '--memory', '4G', '--node', 'node3'),
        ('xml', 'filesystem', middle, '--node', 'node3'),
        ('xml', 'memory'),
        ('xml', 'patch', 'web.xml', middle, '--node', 'node3'),
        ('guest', 'fstab', 'media:/srv/media'),
        ('complete', 'words', '--', 'mapping', 'show', 'share-99'),
    ]


def measure(argv, directory, env):
    """Seconds, CPU seconds, KiB and exit status of one run. The KiB are never below this script's own: Linux counts
    what the process was before exec."""
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.chdir(directory)
        out = os.open('out', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execve(argv[0], argv, env)
    _, status, usage = os.wait4(pid, 0)
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, \
        os.waitstatus_to_exitcode(status)


def bench(name, vfsctl, url, source, args, directory):
    print(f'\n{name} store, {args.mappings} mappings x {args.nodes} nodes, '
          f'{source.stat().st_size / 1e6:.1f} MB')
    original = source.read_bytes()
    env = {'PATH': os.environ['PATH'], 'VFSKIT_STORE': url}
    for words in verbs(f'share-{args.mappings // 2}'):
        runs = []
        for _ in range(args.runs):
            source.write_bytes(original)
            runs.append(measure([vfsctl, *words], directory, env))
        seconds = statistics.median(run[0] for run in runs)
        cpu = statistics.median(run[1] for run in runs)
        memory = max(run[2] for run in runs)
        ended = f'  exit {runs[-1][3]}' if runs[-1][3] else ''
        mark = '' if seconds < 0.1 and memory < 64 * 1024 else '  <-- over the aim'
        print(f'{seconds * 1e3:8.1f} ms {cpu * 1e3:8.1f} ms CPU {memory / 1024:7.1f} MiB  vfsctl {" ".join(words)}{ended}{mark}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('vfsctl')
    parser.add_argument('--mappings', type=int, default=10000)
    parser.add_argument('--nodes', type=int, default=16)
    parser.add_argument('--runs', type=int, default=5)
    args = parser.parse_args()
    vfsctl = str(pathlib.Path(args.vfsctl).resolve())
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if 'model name' in line), '?')
    print(f'{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}; '
          f'{os.popen(f"{vfsctl} --version").read().strip()}')
    directory = pathlib.Path(tempfile.mkdtemp(prefix='vfskit-bench-'))
    try:
        (directory / 'web.xml').write_text(DOMAIN)
        write_yaml(directory / 'mappings.yaml', args.mappings, args.nodes)
        shutil.copy(directory / 'mappings.yaml', directory / 'whole.yaml')
        bench('yaml:', vfsctl, f'yaml:{directory}/mappings.yaml', directory / 'mappings.yaml', args, directory)
        # pmxcfs takes at most 1 MiB for a file: as many mappings as fit.
        args.mappings = min(args.mappings, (1 << 20) // (64 * args.nodes))
        (directory / 'whole.yaml').write_text('version: 1\nmappings: {new: {nodes: {node1: /srv/new}}}\n')
        write_pve(directory / 'pve', args.mappings, args.nodes)
        bench('pve:', vfsctl, f'pve:{directory}/pve', directory / 'pve/mapping/directory.cfg', args, directory)
    finally:
        shutil.rmtree(directory)


if __name__ == '__main__':
    main()

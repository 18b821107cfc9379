# SPDX-License-Identifier: Apache-2.0
"""Real etcd members on loopback."""
import pathlib
import socket
import subprocess
import time

import lifetime


def free_ports(count):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    """Members that were started, killed and started again. `tls`: {'ca', 'cert', 'key'} of files."""

    def __init__(self, directory: pathlib.Path, members=1, tls=None):
        self.dir = directory
        self.tls = tls
        ports = free_ports(2 * members)
        self.client_ports, self.peer_ports = ports[:members], ports[members:]
        self.members = [None] * members
        for index in range(members):
            self.start(index)
        self.wait_until_serving()

    @property
    def hosts(self):
        return ','.join(f'127.0.0.1:{port}' for port in self.client_ports)

    def start(self, index):
        scheme = 'https' if self.tls else 'http'
        client = f'{scheme}://127.0.0.1:{self.client_ports[index]}'
        peers = [f'http://127.0.0.1:{port}' for port in self.peer_ports]
        words = ['etcd', '--name', f'm{index}', '--data-dir', self.dir / f'm{index}',
                 '--listen-client-urls', client, '--advertise-client-urls', client,
                 '--listen-peer-urls', peers[index], '--initial-advertise-peer-urls', peers[index],
                 '--initial-cluster', ','.join(f'm{i}={peer}' for i, peer in enumerate(peers)),
                 '--heartbeat-interval', '100', '--election-timeout', '1000', '--unsafe-no-fsync']
        if self.tls:
            words += ['--cert-file', self.tls['cert'], '--key-file', self.tls['key'],
                      '--trusted-ca-file', self.tls['ca'], '--client-cert-auth']
        with (self.dir / f'm{index}.log').open('ab') as log:
            self.members[index] = lifetime.start(words, stdout=log, stderr=log)

    def kill(self, index):
        member = self.members[index]
        member.kill()
        member.wait(timeout=30)

    def stop(self):
        for member in self.members:
            if member.poll() is None:
                member.kill()
            member.wait(timeout=30)

    def log(self):
        return '\n'.join((self.dir / f'm{i}.log').read_text()[-2000:] for i in range(len(self.members)))

    def control(self, *words):
        """etcdctl against the first member."""
        scheme = 'https' if self.tls else 'http'
        tls = ['--cacert', self.tls['ca'], '--cert', self.tls['cert'], '--key', self.tls['key']] if self.tls else []
        done = subprocess.run(
            ['etcdctl', '--endpoints', f'{scheme}://127.0.0.1:{self.client_ports[0]}',
             *[str(word) for word in tls], *words], text=True, capture_output=True, timeout=60,
            env={'ETCDCTL_API': '3', 'PATH': '/usr/sbin:/usr/bin:/bin'})
        if done.returncode != 0:
            raise RuntimeError(f'etcdctl {words}: {done.stderr}')
        return done.stdout

    def wait_until_serving(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.control('get', 'nothing')
                return
            except (RuntimeError, subprocess.TimeoutExpired):
                time.sleep(0.1)
        raise RuntimeError(f'etcd does not serve: {self.log()}')

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Needs: etcd-server, etcd-client.
"""The store of etcd keeps the contract that the stores in files keep, against three real members."""
import os
import pathlib
import subprocess
import sys
import tempfile

from etcd import Cluster

with tempfile.TemporaryDirectory(prefix='vfskit-etcd-') as place:
    cluster = Cluster(pathlib.Path(place), members=3)
    try:
        done = subprocess.run([os.environ['VFSKIT_STORE_CONTRACT']],
                              env={**os.environ, 'VFSKIT_ETCD': cluster.hosts}, timeout=300)
    finally:
        cluster.stop()
sys.exit(done.returncode)

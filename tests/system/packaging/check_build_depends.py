#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every library that tools/install-deps installs to build with is in Build-Depends of packaging/debian/control."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
# GoogleTest: packages are built without tests.
TESTS_ONLY = {'libgtest-dev', 'libgmock-dev', 'libbenchmark-dev'}


def main():
    script = (ROOT / 'tools' / 'install-deps').read_text()
    block = re.search(r'^build_packages=\((.*?)\)$', script, re.MULTILINE | re.DOTALL).group(1)
    wanted = {word for line in block.splitlines() for word in line.split('#')[0].split() if word.endswith('-dev')}
    control = (ROOT / 'packaging' / 'debian' / 'control').read_text()
    field = re.search(r'^Build-Depends:\n((?: .*\n)+)', control, re.MULTILINE).group(1)
    known = {line.split()[0].rstrip(',') for line in field.splitlines()}
    missing = sorted(wanted - TESTS_ONLY - known)
    if missing:
        sys.exit(f'packaging/debian/control: Build-Depends lacks {", ".join(missing)}, which tools/install-deps has')


if __name__ == '__main__':
    main()

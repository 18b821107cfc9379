#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every #include of our code, and what every room links, with the table in docs/architecture.md.

The table is the source of truth: a room may include only itself and what its row lists, and DEPENDS in its
CMakeLists.txt is that list. A room that is not in the table and an include that is not written from the root
are faults too; a row without a folder is a room that is not built yet. So is an x.cpp that does not begin with the
x.h beside it: being first there shows that a header compiles alone.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
ROW = re.compile(r'^\|\s*\d\s*\|\s*`([a-z_-]+)`\s*\|[^|]*\|\s*([^|]*?)\s*\|$')
ROOM_CALL = re.compile(r'^\s*vfskit_room\(\s*([a-z_]+)([^)]*)\)', re.MULTILINE)
ROOM_KEYWORDS = ('PUBLIC_LIBS', 'PRIVATE_LIBS')
PROGRAM_DIRS = ('vfsctl', 'virtiofsd', 'libvirt-hook', 'pve-plugin')


def read_table(architecture: str) -> dict[str, set[str]]:
    """The rows `| floor | `room` | is | may include |`, with a leading "core/" taken for granted."""
    table = {}
    for line in architecture.splitlines():
        row = ROW.match(line)
        if row:
            allowed = row.group(2)
            rooms = set() if allowed in ('–', '-') else {name.strip(' `') for name in allowed.split(',')}
            table[row.group(1)] = rooms
    return table


def room_of(path: str) -> str | None:
    parts = path.split('/')
    if parts[0] == 'core' and len(parts) > 2:
        return parts[1]
    if parts[0] in PROGRAM_DIRS:
        return parts[0]
    return None


def check_file(path: str, text: str, table: dict[str, set[str]]) -> list[str]:
    room = room_of(path)
    faults = []
    if room not in table:
        return [f'{path}: room "{room}" is not in the table of docs/architecture.md']
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if not include:
            continue
        quote, target = include.groups()
        target_room = room_of(target)
        if quote == '"' and target_room is None:
            faults.append(f'{path}:{number}: "{target}" is not written from the root of the project')
        elif target_room is not None and target_room != room and target_room not in table[room]:
            faults.append(f'{path}:{number}: {room} may not include {target_room} ("{target}")')
    return faults


def check_own_header(path: str, text: str) -> list[str]:
    """A .cpp with a header beside it: that header must be its first include."""
    header = path.removesuffix('.cpp') + '.h'
    first = next((INCLUDE.match(line) for line in text.splitlines() if INCLUDE.match(line)), None)
    if first and first.group(2) == header:
        return []
    return [f'{path}: its first include must be "{header}", which shows that it compiles alone']


def linked_rooms(arguments: str) -> set[str]:
    """What stands behind DEPENDS, up to the next keyword."""
    rooms, is_reading = set(), False
    for word in arguments.split():
        if word == 'DEPENDS' or word in ROOM_KEYWORDS:
            is_reading = word == 'DEPENDS'
        elif is_reading:
            rooms.add(word)
    return rooms


def check_links(path: str, text: str, table: dict[str, set[str]]) -> list[str]:
    """One core/ROOM/CMakeLists.txt: DEPENDS must be the room's row, no more and no less."""
    room = room_of(path)
    calls = ROOM_CALL.findall(re.sub(r'#.*', '', text))
    if [name for name, _ in calls] != [room]:
        return [f'{path}: it must have exactly one vfskit_room({room} …)']
    if room not in table:
        return [f'{path}: room "{room}" is not in the table of docs/architecture.md']
    linked = linked_rooms(calls[0][1])
    faults = [f'{path}: {room} links {name}, which its row does not list' for name in sorted(linked - table[room])]
    return faults + [f'{path}: {room} does not link {name}, which its row lists' for name in sorted(table[room] - linked)]


def check_tree(root: pathlib.Path) -> list[str]:
    table = read_table((root / 'docs/architecture.md').read_text())
    faults = [] if table else ['docs/architecture.md: no table of rooms found']
    seen = set()
    for top in ('core', *PROGRAM_DIRS):
        for path in sorted((root / top).rglob('*')):
            if path.suffix in ('.h', '.cpp'):
                relative = path.relative_to(root).as_posix()
                seen.add(room_of(relative))
                faults += check_file(relative, path.read_text(), table)
                if path.suffix == '.cpp' and path.with_suffix('.h').exists():
                    faults += check_own_header(relative, path.read_text())
    for path in sorted((root / 'core').glob('*/CMakeLists.txt')):
        faults += check_links(path.relative_to(root).as_posix(), path.read_text(), table)
    if not seen:
        faults.append('no source file was found')
    return faults


if __name__ == '__main__':
    tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]
    found = check_tree(tree)
    print('\n'.join(found) if found else 'every #include and every link agrees with docs/architecture.md')
    sys.exit(1 if found else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the parts of the man pages that vfsctl itself knows: verbs, options, examples.

    docs/man/update.py VFSCTL            rewrite the pages
    docs/man/update.py VFSCTL --check    exit status 1 and the names of the pages that would change

The parts stand between the comments "begin generated: PART" and "end generated"; PART is "global-options",
"groups", "findings", or "verbs GROUP". All else is written by hand.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
PART = re.compile(r'(?P<begin>^\.\\" begin generated: (?P<part>[^\n]*)\n).*?(?P<end>^\.\\" end generated$)',
                  re.MULTILINE | re.DOTALL)


def escaped(text: str) -> str:
    """Text for mdoc: no request by accident, hyphens that can be copied."""
    text = text.replace('\\', r'\e').replace('-', r'\-')
    return re.sub(r"^([.'])", r'\\&\1', text, flags=re.MULTILINE)


def quoted(word: str) -> str:
    return '"' + escaped(word).replace('"', '""') + '"'


def sentences(text: str) -> str:
    """One sentence a line, as mdoc wants it, with a full stop at the end."""
    text = text if text.endswith(('.', '?')) else text + '.'
    parts = re.sub(r'(?<=[.?]) (?=[A-Z])', '\n', text).split('\n')
    return '\n'.join(escaped(textwrap.fill(part, 72, break_long_words=False, break_on_hyphens=False))
                     for part in parts)


def item(option: dict) -> str:
    if not option['name'].startswith('-'):
        head = f'.It Ar {quoted(option["name"])}'
    else:
        names = [option['short-name'], option['name']] if option['short-name'] else [option['name']]
        head = '.It ' + ' , '.join(f'Fl {escaped(name[1:])}' for name in names)
        if option['value']:
            head += f' Ar {quoted(option["value"])}'
    return f'{head}\n{sentences(option["help"])}\n'


def items(options: list) -> str:
    return '.Bl -tag -width Ds\n' + ''.join(map(item, options)) + '.El\n' if options else ''


def examples(verb: dict) -> str:
    return '.Pp\nExamples:\n.Bd -literal -offset indent\n' + escaped(verb['examples']) + '\n.Ed\n'


def verb_text(verb: dict, common: set) -> str:
    own = [option for option in verb['options'] if option['name'] not in common]
    text = f'.Ss {verb["path"]}\n.Bd -ragged -offset indent\n{escaped(verb["usage"])}\n.Ed\n.Pp\n'
    text += sentences(verb['summary']) + '\n'
    if verb['description']:
        text += sentences(verb['description']) + '\n'
    if len(own) < len(verb['options']):
        text += 'See also\n.Sx Options of several verbs .\n'
    return text + items(own) + examples(verb)


def verbs_text(tree: dict, group: str) -> str:
    verbs = [verb for verb in tree['verbs'] if verb['path'].split()[0] == group]
    users = collections.defaultdict(list)
    texts = {}
    for verb in verbs:
        for option in verb['options']:
            if option['name'].startswith('-'):
                users[json.dumps(option)].append(verb['path'].split(' ', 1)[-1])
                texts.setdefault(option['name'], set()).add(json.dumps(option))
    # Only where an option means the same in every verb of the page that has it.
    shared = {json.loads(key)['name']: verbs_ for key, verbs_ in users.items()
              if len(verbs_) > 1 and len(texts[json.loads(key)['name']]) == 1}
    text = ''.join(verb_text(verb, shared.keys()) for verb in verbs)
    if not shared:
        return text
    text += '.Ss Options of several verbs\n.Bl -tag -width Ds\n'
    for key, verbs_ in users.items():
        option = json.loads(key)
        if option['name'] in shared:
            text += item(option)
            if len(verbs_) < len(verbs):
                text += f'.Pq {escaped(", ".join(verbs_))}\n'
    return text + '.El\n'


def groups_text(tree: dict) -> str:
    text = '.Bl -tag -width Ds\n'
    for group in tree['groups']:
        verbs = [verb['path'] for verb in tree['verbs'] if verb['path'].split()[0] == group['name']]
        for path in verbs:
            summary = next(verb['summary'] for verb in tree['verbs'] if verb['path'] == path)
            text += f'.It Cm {escaped(path)}\n{sentences(summary)}\n'
    return text + '.El\n'


def findings_text(findings: list) -> str:
    text = '.Bl -tag -width Ds\n'
    for finding in findings:
        text += f'.It {finding["code"].replace("-", chr(92) + "-")} Pq {finding["severity"]}\n'
        text += ''.join(sentences(finding[key]) + '\n' for key in ('title', 'reason', 'remedy'))
    return text + '.El\n'


def part_text(tree: dict, part: str) -> str:
    if part == 'findings':
        return findings_text(tree['findings'])
    if part == 'global-options':
        help_option = {'name': '--help', 'short-name': '-h', 'value': '', 'help': 'Print help and exit'}
        return items(tree['global-options'] + [help_option])
    if part == 'groups':
        return groups_text(tree)
    return verbs_text(tree, part.removeprefix('verbs '))


def updated(text: str, tree: dict) -> str:
    return PART.sub(lambda match: match['begin'] + part_text(tree, match['part']) + match['end'], text)


def main(vfsctl: str, check: bool) -> int:
    tree = json.loads(subprocess.run([vfsctl, 'complete', 'tree'], check=True, text=True,
                                     capture_output=True).stdout)
    tree['findings'] = json.loads(subprocess.run([vfsctl, 'check', '--explain', 'all', '--json'], check=True,
                                                 text=True, capture_output=True).stdout)['findings']
    stale = 0
    for page in sorted(HERE.glob('*.[1-8]')):
        text = page.read_text()
        new_text = updated(text, tree)
        if new_text != text and check:
            print(f'{page.name} is stale: run docs/man/update.py VFSCTL')
            stale = 1
        elif new_text != text:
            page.write_text(new_text)
    return stale


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], '--check' in sys.argv[2:]))

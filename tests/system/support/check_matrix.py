# SPDX-License-Identifier: Apache-2.0
"""What the migration check said beforehand against what a migration really did, as rows of docs/check-matrix.md.

    matrix = Matrix('qemu')
    matrix.add('find-paths', 'the same directory', prediction, Outcome('moves'))
    matrix.compare()                     AssertionError where they disagree, or where the page says something else

VFSKIT_WRITE_MATRIX=1 in the environment makes compare() write the page instead.
"""
import dataclasses
import json
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / 'docs/check-matrix.md'
# Warnings that leave a question open: the guest moves with all that it has, or stays with all that it has.
OPEN_QUESTIONS = {'VFS-C007', 'VFS-C036', 'VFS-C037', 'VFS-C084'}
# Blockers that stand for a decision, not for what would happen: the owner's, or the words of a protocol.
DECISIONS = {'VFS-C014', 'VFS-C079'}


@dataclasses.dataclass
class Outcome:
    """`kind`: moves (with all that it had), stays (likewise, at the source), less (it moved and the warned-of is seen),
    lost (the guest, or some of its files)."""
    kind: str
    text: str = ''

    def __str__(self):
        return f'{self.kind}: {self.text}' if self.text else self.kind


@dataclasses.dataclass
class Prediction:
    verdict: str  # blocker, warning, or pass (notes count as nothing)
    codes: list[str]
    text: str  # all findings, for failures

    def __str__(self):
        short = ', '.join(code.removeprefix('VFS-') for code in self.codes)
        return f'{self.verdict} {short}'.strip()

    def agrees(self, outcome: Outcome) -> bool:
        if self.verdict == 'blocker':
            return outcome.kind in ('stays', 'lost') or set(self.blockers) <= DECISIONS
        if self.verdict == 'pass':
            return outcome.kind == 'moves'
        if set(self.codes) <= OPEN_QUESTIONS:
            return outcome.kind in ('moves', 'stays')
        return outcome.kind == 'less'

    @property
    def blockers(self):
        return [line.split()[1] for line in self.text.splitlines() if line.startswith('blocker')]


def read_prediction(document: str) -> Prediction:
    """Of one VM and one target, from `vfsctl check --json`."""
    vm = json.loads(document)['vms'][0]
    findings = vm['findings'] + [finding for target in vm['targets'] for finding in target['findings']]
    heavy = [finding for finding in findings if finding['severity'] != 'note']
    worst = [severity for severity in ('blocker', 'warning') if any(f['severity'] == severity for f in heavy)]
    lines = [f'{f["severity"]} {f["code"]} {f["subject"]}: {f["message"]}' for f in findings]
    return Prediction((worst or ['pass'])[0], sorted({finding['code'] for finding in heavy}), '\n'.join(lines))


class Matrix:
    """The rows of one table of the page."""

    def __init__(self, name: str):
        self.name = name
        self.rows = []
        self.faults = []

    def add(self, method: str, setup: str, prediction: Prediction, outcome: Outcome, seconds: float = 0):
        row = f'| {setup} | {method} | {prediction} | {outcome} |'
        print(f'{row} ({seconds:.0f} s)', flush=True)
        self.rows.append(row)
        if not prediction.agrees(outcome):
            self.faults.append(f'{method}, {setup}: predicted {prediction}, and it {outcome}\n{prediction.text}')

    def compare(self):
        begin, end = f'<!-- begin matrix: {self.name} -->\n', f'<!-- end matrix: {self.name} -->'
        table = '\n'.join(['| set-up | method | the check says | the migration |', '|---|---|---|---|', *self.rows, ''])
        page = PAGE.read_text()
        written = re.sub(f'{re.escape(begin)}.*?{re.escape(end)}', lambda _: begin + table + end, page, flags=re.DOTALL)
        assert begin in page, f'{PAGE} has no table "{self.name}"'
        if os.environ.get('VFSKIT_WRITE_MATRIX'):
            PAGE.write_text(written)
        elif written != page:
            self.faults.append(f'{PAGE} has another table "{self.name}"; VFSKIT_WRITE_MATRIX=1 writes it')
        assert not self.faults, '\n\n'.join(self.faults)

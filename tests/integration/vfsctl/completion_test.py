#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The completion scripts in real shells."""
import shutil
import subprocess
import unittest

from vfsctl_case import VFSCTL, VfsctlCase

# Sets what bash sets for a completion function, with words cut at COMP_WORDBREAKS not needed: the
# function reads COMP_LINE.
BASH = r'''
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_vfsctl "$3"
printf '%s\n' "${COMPREPLY[@]}"
'''
# compadd and _files are builtins of the completion widget: here they print.
ZSH = r'''
compdef() { :; }
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@"; }
_files() { print -r -- ":files $*"; }
compset() { :; }
source $1
words=("${(@)argv[2,-1]}")
CURRENT=$#words
_vfsctl
'''


def need(shell):
    return unittest.skipUnless(shutil.which(shell), f'{shell} is not installed')


class Completion(VfsctlCase):
    def setUp(self):
        super().setUp()
        self.add_media()
        self.vfsctl('mapping', 'add', 'home', 'n2:/home')

    def script(self, shell):
        path = self.dir / f'vfsctl.{shell}'
        path.write_text(self.vfsctl('completion', shell))
        return str(path)

    def run_shell(self, *argv):
        done = subprocess.run(argv, env=self.env, cwd=self.dir, text=True, capture_output=True,
                              timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return [line for line in done.stdout.split('\n') if line]

    def bash(self, line):
        return self.run_shell('bash', '--norc', '-c', BASH, 'bash', self.script('bash'), line, VFSCTL)

    def zsh(self, *words):
        return self.run_shell('zsh', '-f', '-c', ZSH, 'zsh', self.script('zsh'), VFSCTL, *words)

    def fish(self, line):
        commands = (f'set -x PATH (dirname {VFSCTL}) $PATH; source {self.script("fish")}; '
                    f'complete -C "{line}"')
        return [row.split('\t')[0]
                for row in self.run_shell('fish', '--no-config', '-c', commands)]

    @need('bash')
    def test_bash_offers_verbs(self):
        self.assertEqual(self.bash('vfsctl mapping s'), ['set', 'show'])

    @need('bash')
    def test_bash_offers_ids(self):
        self.assertEqual(self.bash('vfsctl mapping show '), ['home', 'media'])

    @need('bash')
    def test_bash_offers_words_after_an_equals_sign(self):
        self.assertEqual(self.bash('vfsctl mapping list --method=fin'), ['find-paths'])

    @need('bash')
    def test_bash_offers_what_follows_a_colon(self):
        self.assertEqual(self.bash(f'vfsctl mapping add x n1:{self.dir}/m'), [f'{self.dir}/media/'])

    @need('bash')
    def test_bash_offers_files(self):
        (self.dir / 'web.xml').touch()
        self.assertEqual(self.bash('vfsctl xml patch we'), ['web.xml'])

    @need('zsh')
    def test_zsh_offers_ids(self):
        self.assertEqual(self.zsh('mapping', 'show', ''), ['home', 'media'])

    @need('zsh')
    def test_zsh_offers_nodes_with_their_colon(self):
        self.assertIn('n2:', self.zsh('mapping', 'set', 'media', '--path', 'n'))

    @need('zsh')
    def test_zsh_offers_files(self):
        self.assertEqual(self.zsh('xml', 'patch', ''), [':files '])

    @need('fish')
    def test_fish_offers_ids(self):
        self.assertEqual(self.fish('vfsctl mapping show '), ['home', 'media'])

    @need('fish')
    def test_fish_offers_options(self):
        self.assertEqual(self.fish('vfsctl mapping set media --rel'), ['--relation'])

    @need('fish')
    def test_fish_offers_files(self):
        (self.dir / 'web.xml').touch()
        self.assertEqual(self.fish('vfsctl xml patch we'), ['web.xml'])


if __name__ == '__main__':
    unittest.main()

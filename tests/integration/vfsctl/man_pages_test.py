#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The man pages are well-formed, fresh, and name every verb and option."""
import re
import shutil
import subprocess
import sys
import unittest

from vfsctl_case import ROOT, VFSCTL, VfsctlCase

PAGES = sorted((ROOT / 'docs/man').glob('*.[1-8]'))


# The verbs of one word that share a page.
SHARED_PAGES = {'attach': 'libvirt', 'detach': 'libvirt', 'drain': 'check', 'migrate': 'libvirt', 'restore': 'libvirt',
                'save': 'libvirt', 'watch': 'libvirt'}


def page_of(verb):
    group = verb['path'].split()[0]
    page = ROOT / f'docs/man/vfsctl-{SHARED_PAGES.get(group, group)}.1'
    return page if page.exists() else ROOT / 'docs/man/vfsctl.1'


def plain(page):
    """The source without what mdoc and we add for hyphens and macros."""
    return page.read_text().replace('\\-', '-').replace('\\&', '').replace('\\e', '\\')


class ManPages(VfsctlCase):
    def test_are_what_vfsctl_says(self):
        done = subprocess.run([sys.executable, ROOT / 'docs/man/update.py', VFSCTL, '--check'], text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which('mandoc'), 'mandoc is not installed')
    def test_have_no_fault_that_mandoc_finds(self):
        for page in PAGES:
            with self.subTest(page.name):
                done = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page], text=True,
                                      capture_output=True)
                self.assertEqual((done.returncode, done.stdout), (0, ''))

    def test_name_every_verb_and_option(self):
        for verb in self.tree()['verbs']:
            if verb['is-hidden']:
                continue
            text = plain(page_of(verb))
            with self.subTest(verb['path']):
                self.assertIn(f'.Ss {verb["path"]}\n', text)
                for option in verb['options']:
                    if option['name'].startswith('-'):
                        self.assertRegex(text, re.escape(f'Fl {option["name"][1:]}') + r'\b')
                    else:
                        self.assertIn(f'.It Ar "{option["name"]}"', text)

    def test_name_every_global_option(self):
        text = plain(ROOT / 'docs/man/vfsctl.1')
        for option in self.tree()['global-options']:
            self.assertIn(f'Fl {option["name"][1:]}', text)

    def test_name_every_exit_status(self):
        text = (ROOT / 'docs/man/vfsctl.1').read_text().split('.Sh EXIT STATUS')[1]
        codes = re.findall(r'^ +\w+ = (\d+),', (ROOT / 'vfsctl/exit_code.h').read_text(), re.MULTILINE)
        self.assertEqual(re.findall(r'^\.It (\d+)$', text, re.MULTILINE), codes)


if __name__ == '__main__':
    unittest.main()

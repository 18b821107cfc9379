#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checker itself: each kind of fault is found, and correct code is not."""
import unittest

from check_includes import check_file, check_links, check_own_header, read_table

TABLE = read_table('''
| floor | room | is | may include |
|---|---|---|---|
| 0 | `base` | words | – |
| 1 | `virtio` | rings | base |
| 2 | `vhost_user` | messages | virtio, base |
| 5 | `vfsctl` | the command | base |
''')


class CheckIncludes(unittest.TestCase):
    def test_reads_the_table(self):
        self.assertEqual(TABLE, {'base': set(), 'virtio': {'base'}, 'vhost_user': {'virtio', 'base'},
                                 'vfsctl': {'base'}})

    def test_accepts_own_and_lower_rooms(self):
        text = '#include "core/virtio/ring.h"\n#include "core/base/result.h"\n#include <vector>\n'
        self.assertEqual(check_file('core/virtio/ring.cpp', text, TABLE), [])

    def test_refuses_an_upward_include(self):
        faults = check_file('core/virtio/ring.cpp', '#include "core/vhost_user/session.h"\n', TABLE)
        self.assertEqual(len(faults), 1)
        self.assertIn('core/virtio/ring.cpp:1: virtio may not include vhost_user', faults[0])

    def test_refuses_a_sideways_include_of_a_program(self):
        self.assertEqual(len(check_file('vfsctl/main.cpp', '#include "core/virtio/ring.h"\n', TABLE)), 1)

    def test_refuses_a_relative_include(self):
        self.assertIn('not written from the root',
                      check_file('core/virtio/ring.cpp', '#include "ring.h"\n', TABLE)[0])

    def test_refuses_an_unknown_room(self):
        self.assertIn('is not in the table', check_file('core/utils/a.cpp', '', TABLE)[0])


class CheckOwnHeader(unittest.TestCase):
    PATH = 'core/virtio/ring.cpp'

    def test_accepts_the_own_header_first(self):
        text = '// A ring.\n#include "core/virtio/ring.h"\n\n#include <vector>\n'
        self.assertEqual(check_own_header(self.PATH, text), [])

    def test_refuses_another_header_first_and_none(self):
        for text in ('#include <vector>\n#include "core/virtio/ring.h"\n', '#include "core/base/result.h"\n', ''):
            self.assertIn('must be "core/virtio/ring.h"', check_own_header(self.PATH, text)[0])


class CheckLinks(unittest.TestCase):
    PATH = 'core/vhost_user/CMakeLists.txt'

    def test_accepts_the_rooms_of_the_row_in_any_order(self):
        text = '# rooms\nvfskit_room(vhost_user DEPENDS base virtio\n  PUBLIC_LIBS Threads::Threads)\n'
        self.assertEqual(check_links(self.PATH, text, TABLE), [])
        self.assertEqual(check_links('core/base/CMakeLists.txt', 'vfskit_room(base PUBLIC_LIBS fmt::fmt)\n', TABLE), [])

    def test_refuses_a_link_that_the_row_does_not_list(self):
        faults = check_links('core/virtio/CMakeLists.txt', 'vfskit_room(virtio DEPENDS base vhost_user)\n', TABLE)
        self.assertEqual(len(faults), 1)
        self.assertIn('virtio links vhost_user', faults[0])

    def test_refuses_a_row_that_is_not_linked(self):
        faults = check_links(self.PATH, 'vfskit_room(vhost_user DEPENDS base PRIVATE_LIBS virtio)\n', TABLE)
        self.assertEqual(len(faults), 1)
        self.assertIn('does not link virtio', faults[0])

    def test_refuses_a_folder_without_its_room(self):
        self.assertEqual(len(check_links(self.PATH, '# vfskit_room(vhost_user DEPENDS base virtio)\n', TABLE)), 1)
        self.assertEqual(len(check_links(self.PATH, 'vfskit_room(other DEPENDS base)\n', TABLE)), 1)

    def test_refuses_a_room_without_a_row(self):
        self.assertIn('is not in the table', check_links('core/utils/CMakeLists.txt', 'vfskit_room(utils)\n', TABLE)[0])


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every schema is a schema, closed, and judges its samples as their folder says."""
import pathlib
import unittest

import jsonschema

from schema_library import SchemaLibrary, read_document

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = SchemaLibrary(ROOT)
# A mapping file keeps keys that it does not know; the common parts are no document.
OPEN = {'mappings'}
NO_DOCUMENT = {'common'}
# Not printed by a verb: the replies on a daemon's control socket, which says its version itself, and a file that
# people write.
PROTOCOL = {'daemon-status', 'daemon-migration-report', 'pve-settings'}


def open_objects(schema, path='$'):
    """Paths of object schemas that would let an unknown key through."""
    if isinstance(schema, dict):
        if 'properties' in schema and schema.get('type') == 'object' \
                and schema.get('additionalProperties') is not False:
            yield path
        for key, value in schema.items():
            yield from open_objects(value, f'{path}.{key}')
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from open_objects(value, f'{path}[{index}]')


def samples(kind: str, name: str) -> list[pathlib.Path]:
    return sorted((ROOT / 'schemas' / 'samples' / kind / name).glob('*'))


class Schemas(unittest.TestCase):
    def test_are_valid_schemas(self):
        for name, schema in LIBRARY.schemas.items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_are_named_after_their_file(self):
        for name, schema in LIBRARY.schemas.items():
            with self.subTest(name):
                self.assertTrue(schema['$id'].endswith(f'/{name}.schema.json'))
                if name not in OPEN | NO_DOCUMENT | PROTOCOL:
                    self.assertEqual(schema['properties']['kind'], {'const': name})

    def test_let_no_unknown_key_through(self):
        for name, schema in LIBRARY.schemas.items():
            if name not in OPEN:
                with self.subTest(name):
                    self.assertEqual(list(open_objects(schema)), [])

    def test_accept_their_valid_samples(self):
        for name in LIBRARY.schemas.keys() - NO_DOCUMENT:
            self.assertTrue(samples('valid', name), f'{name} has no valid sample')
            for path in samples('valid', name):
                with self.subTest(path.relative_to(ROOT)):
                    self.assertEqual(LIBRARY.faults(name, read_document(path)), [])

    def test_refuse_their_invalid_samples(self):
        for name in LIBRARY.schemas.keys() - NO_DOCUMENT:
            self.assertTrue(samples('invalid', name), f'{name} has no invalid sample')
            for path in samples('invalid', name):
                with self.subTest(path.relative_to(ROOT)):
                    self.assertNotEqual(LIBRARY.faults(name, read_document(path)), [])

    def test_have_no_sample_of_an_unknown_schema(self):
        for kind in ('valid', 'invalid'):
            folders = {path.name for path in (ROOT / 'schemas' / 'samples' / kind).iterdir()}
            self.assertEqual(folders - LIBRARY.schemas.keys(), set())


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The schemas of schemas/ as validators that resolve references among themselves."""
import json
import pathlib

import jsonschema
import yaml

SUFFIX = '.schema.json'


class SchemaLibrary:
    def __init__(self, root: pathlib.Path):
        self.root = root / 'schemas'
        self.schemas = {path.name.removesuffix(SUFFIX): json.loads(path.read_text())
                        for path in sorted(self.root.glob('*' + SUFFIX))}
        self._by_id = {schema['$id']: schema for schema in self.schemas.values()}

    def validator(self, name: str) -> jsonschema.Draft202012Validator:
        schema = self.schemas[name]
        resolver = jsonschema.RefResolver(schema['$id'], schema, store=self._by_id)
        return jsonschema.Draft202012Validator(schema, resolver=resolver)

    def faults(self, name: str, document) -> list[str]:
        """What is wrong with the document, as sentences; empty when it is valid."""
        return [f'{error.json_path}: {error.message}'
                for error in self.validator(name).iter_errors(document)]


def read_document(path: pathlib.Path):
    text = path.read_text()
    return yaml.safe_load(text) if path.suffix == '.yaml' else json.loads(text)

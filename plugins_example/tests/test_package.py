"""That the package uses nothing of resto that is not public."""

import ast
import importlib
from pathlib import Path

import pytest

import resto_example_plugins


SOURCES = sorted(Path(resto_example_plugins.__file__).parent.glob("*.py"))


def imports(source):
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "resto":
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_public_names_are_imported(source):
    for module, name in imports(source):
        assert not any(part.startswith("_") for part in module.split("."))
        assert name in importlib.import_module(module).__all__


def test_something_is_imported():
    assert ("resto", "hookimpl") in {pair for source in SOURCES for pair in imports(source)}

"""The contract as a whole: it lets the transport of the docs pass, and loses no promise of its themes."""

import re

import pytest

from kit.contracts import keeps, promises
from kit.folder_transport import Folder, Plain
from resto.testing import TransportContract


@pytest.mark.parametrize("promise", promises(TransportContract))
@pytest.mark.parametrize(("transport", "has_directories"), [(Folder, True), (Folder, False), (Plain, True)])
def test_transport_of_the_docs_keeps_the_promise(suite, promise, host, request, transport, has_directories):
    suite.makes_directories = has_directories
    keeps(suite, promise, request, transport_and_host=(transport("/media/", timeout=2), host))


def test_each_promise_belongs_to_one_theme():
    themes = [promise for theme in TransportContract.__bases__ for promise in promises(theme)]
    assert sorted(themes) == promises(TransportContract)


def test_contract_says_where_its_themes_are():
    told = re.findall(r"^ *- `(\w+)`: ", TransportContract.__doc__, re.MULTILINE)
    assert sorted(told) == sorted(theme.__module__.rpartition(".")[2] for theme in TransportContract.__bases__)

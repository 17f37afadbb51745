"""What the page about topologies says of moving from one to another, and in which form it says the rest."""

import re

import pytest
from django.core.files.storage import storages
from django.core.management import call_command

from kit.documents import ROOT
from kit.recognized import problems, save, states
from resto.exceptions import ConfigurationError
from resto.models import Pending
from resto.names import is_temporary
from resto.repair.sync import SyncOptions, synchronize


PAGE = (ROOT / "docs" / "topologies.md").read_text()
PICTURES = sorted((ROOT / "docs" / "pictures").glob("topology-*.svg"))


def held(server):
    return {name: content for name, content in server.files.items() if not is_temporary(name)}


def compare(storage):
    report = synchronize(storage, SyncOptions(), lambda event: None)
    assert (report.problems, report.agrees) == ([], True)


@pytest.mark.django_db(transaction=True, available_apps=["resto"])
def test_hosts_take_the_place_of_the_master_copy_and_back(begin, two_servers, media_root, tmp_path):
    storage = begin()
    old = save(storage, "d/old")
    compare(storage)
    storage = begin("Distributed")
    assert problems() == ["", ""]
    new = save(storage, "new")
    with storage.open(old) as file:
        assert file.read() == b"d/old"
    storage.delete(old)
    compare(storage)
    assert held(two_servers[0]) == held(two_servers[1]) == {new: b"new"}
    with pytest.raises(ConfigurationError, match="is not the master copy any more"):
        save(begin(), "of settings that somebody has forgotten")
    media_root.rename(tmp_path / "kept")
    media_root.mkdir()
    storage = begin()
    call_command("resto_restore", no_input=True, verbosity=0)
    assert (media_root / new).read_bytes() == b"new"
    save(storage, "newer")
    compare(storage)
    assert held(two_servers[0]) == held(two_servers[1]) == {new: b"new", "newer": b"newer"}
    assert states() == dict.fromkeys([server.url for server in two_servers], "")
    assert Pending.objects.count() == 0
    storage = begin("Distributed")
    save(storage, "of a box that has kept its settings")
    with pytest.raises(ConfigurationError, match="is not the master copy any more"):
        save(begin(), "another")


@pytest.mark.django_db(transaction=True, available_apps=["resto"])
@pytest.mark.parametrize("kind", ["Hybrid", "Distributed"])
def test_host_that_comes_is_filled_by_a_comparison(begin, two_servers, settings, kind):
    storage = begin(kind)
    name = save(storage, "a")
    bucket = {"url": "bucket", "transport": "resto_example_plugins.storage.StorageTransport"}
    begin(kind, [*(server.url for server in two_servers), bucket])
    settings.STORAGES = settings.STORAGES | {"bucket": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    compare(storages["default"])
    assert storages["bucket"].open(name).read() == b"a"
    assert problems() == ["", "", ""]


def test_every_topology_is_told_in_the_same_way():
    sections = re.split("^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) == len(PICTURES)
    for section in sections:
        assert section.count("![") == 1
        assert "```python" in section
        for part in ("**Writes.**", "**Reads.**", "**What fails when what fails**", "**How to move there.**"):
            assert part in section, (section[:30], part)

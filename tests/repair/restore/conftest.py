"""A site that has lost the directory of its master copy, and what its hosts have."""

import logging
import shutil

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.repair.restore import RestoreOptions, restore


@pytest.fixture(autouse=True)
def _quiet(identities_apply, caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def hosts(servers):
    return [server.url for server in servers]


@pytest.fixture
def make(settings, hosts, media_root):
    def make(kind="HybridStorage", **options):
        options = {"hosts": hosts, "transport": "webdav", "fatal_exceptions": False} | options
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    return make()


@pytest.fixture
def lose(media_root):
    """Let the disk be a new one."""

    def lose():
        shutil.rmtree(media_root)
        media_root.mkdir()

    return lose


@pytest.fixture
def lost(storage, lose):
    """A storage that has lost what its hosts have."""
    for name in ("a", "d/b", "d/e/c"):
        storage.save(name, ContentFile(name.encode()))
    lose()
    return storage


class Restored:
    """Runs restores, and keeps what the last one has told.

    Attributes:
        kinds: Name -> what became of it.
        report: What it came to.
        told: How far it was.
    """

    def __call__(self, storage, **options):
        found, self.told = [], []
        self.report = restore(storage, RestoreOptions(**options), found.append, self.told.append)
        self.findings = {finding.name: finding for finding in found}
        assert len(found) == len(self.findings)
        self.kinds = {name: finding.kind for name, finding in self.findings.items()}
        return self.report


@pytest.fixture
def run():
    return Restored()

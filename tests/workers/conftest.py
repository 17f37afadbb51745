"""A site whose uploads are replicated by workers, on three hosts."""

import secrets
import shutil
from contextlib import ExitStack

import pytest
from django.core.files.storage import storages

from resto.storage import AsyncStorage
from sites.workshop.site import Workshop, files_below, wait_until


class Hosts:
    """Three hosts, which are folders of one real media server."""

    def __init__(self, server):
        folders = [server.new_folder() for _ in range(3)]
        self.urls = [url for url, _ in folders]
        self.paths = [path for _, path in folders]

    def files(self):
        return [files_below(path) for path in self.paths]


@pytest.fixture
def hosts(media_servers):
    return Hosts(media_servers("nginx"))


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A database with the table of the record, to begin with."""
    workshop, path = Workshop(["http://127.0.0.1:9/"]), tmp_path_factory.mktemp("database") / "db.sqlite3"
    try:
        workshop.run("-m", "django", "migrate", "--verbosity", "0")
        shutil.copy(workshop.folder / "db.sqlite3", path)
    finally:
        workshop.close()
    return path


@pytest.fixture
def queue():
    """The name of a queue that no other test uses."""
    return f"media-{secrets.token_hex(4)}"


@pytest.fixture
def open_workshop(settings, database):
    """A function that opens a workshop, and lets its settings hold in this process too; returns it and its storage."""
    with ExitStack() as stack:

        def open_one(hosts, options=None, **parameters):
            workshop = Workshop(hosts, options, database=database, **parameters)
            stack.callback(workshop.close)
            settings.MEDIA_ROOT, settings.MEDIA_URL = str(workshop.media), "/media/"
            for name, value in workshop.settings.items():
                setattr(settings, name, value)
            storage = storages["default"]
            assert isinstance(storage, AsyncStorage)
            return workshop, storage

        yield open_one


@pytest.fixture
def equal():
    """A function that waits until all hosts are equal to the master copy."""

    def wait(workshop, hosts):
        wait_until(lambda: hosts.files() == [files_below(workshop.media)] * len(hosts.paths), lambda: workshop.log)

    return wait

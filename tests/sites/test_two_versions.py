"""While a site is deployed, some of its processes run version 0.1, and others this one, on one table."""

import io
import itertools
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kit import forks
from kit.servers import clean_environment
from sites.workshop.site import held


ROOT = Path(__file__).resolve().parents[2]
VERSION_0_1 = "0bef463"

# What either version runs: settings from the first argument, then a script.
SITE = """
import importlib.util, json, sys
import pymysql
from django.conf import settings
pymysql.install_as_MySQLdb()
configured, script = json.loads(sys.argv[1]), sys.argv[2]
settings.configure(**configured)
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
has_folders = importlib.util.find_spec("resto.record") is not None
assert has_folders == (sys.argv[3] == "new"), "this is the other version"
if has_folders:
    from resto.record import leases
    from resto.repair.drain import drain
else:
    from resto import pending as leases
    from resto.drain import drain
exec(script)
"""


@pytest.fixture(scope="session")
def version_0_1(tmp_path_factory):
    """The folder of version 0.1, as the history has it."""
    archive = subprocess.run(["git", "archive", VERSION_0_1, "resto"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("needs the history of the repository, which has version 0.1")
    folder = tmp_path_factory.mktemp("0.1")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


class Site:
    """A site whose processes run either version."""

    def __init__(self, folder, database, version_0_1, servers):
        self._folder, self._numbers = folder, itertools.count()
        options = {"hosts": [server.url for server in servers], "transport": "webdav", "fatal_exceptions": False}
        self._settings = {
            "SECRET_KEY": "x",
            "INSTALLED_APPS": ["resto"],
            "MEDIA_URL": "/media/",
            "DATABASES": {"default": {key: str(value) for key, value in database.items()}},
            "STORAGES": {
                "default": {
                    "BACKEND": "resto.storage.HybridStorage",
                    "OPTIONS": options | {"location": str(folder / "media")},
                },
                "copied": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options},
            },
            "RESTO_GRACE": 1,
            "RESTO_LEASE": 20,
        }
        self._paths = {"old": str(version_0_1), "new": ""}

    def start(self, version, script):
        path = self._paths[version]
        environment = clean_environment() | {"PYTHONPATH": path}
        arguments = ["-c", SITE, json.dumps(self._settings), script, version]
        log = self._folder / f"{next(self._numbers)}.log"
        with log.open("wb") as printed, open(os.devnull) as nothing:  # noqa: PTH123 - has a descriptor
            return forks.start(arguments, self._folder, environment, nothing, printed, printed, path), log

    def run(self, version, script):
        return self.finish(self.start(version, script))

    @staticmethod
    def finish(started):
        process, log = started
        status, output = process.wait(100), log.read_text()
        assert status == 0, output
        return output


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def site(request, tmp_path, new_database, version_0_1, resto_server_factory):
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"}
    database = sqlite if request.param == "sqlite" else new_database(request.param)
    servers = [resto_server_factory() for _ in range(3)]
    return Site(tmp_path, database, version_0_1, servers), servers


MIGRATE = "call_command('migrate', 'resto', verbosity=0)"
SAVE = """
for alias in ("default", "copied"):
    storages[alias].save(f"{alias}/{NAME}", ContentFile(b"1"))
    storages[alias].save(f"{alias}/{NAME}-gone", ContentFile(b"1"))
    storages[alias].delete(f"{alias}/{NAME}-gone")
"""
DRAIN = """
now = leases.clock()
leases.clock = lambda: now + 700  # all that rests is due
drain()
"""
PENDING = "from resto.models import Pending; print('pending', Pending.objects.count())"


@pytest.mark.parametrize("first", ["old", "new"])
def test_what_one_version_has_recorded_the_other_one_drains(site, first):
    """On the table of this one: a site may migrate first, and go back to version 0.1 without migrating."""
    site, servers = site
    second = {"old": "new", "new": "old"}[first]
    site.run("new", MIGRATE)
    servers[1].refuse = True
    site.run(first, f"NAME = 'first'\n{SAVE}")
    site.run(second, f"NAME = 'second'\n{SAVE}")
    servers[1].refuse = False
    output = site.run(second, f"{DRAIN}\n{PENDING}")
    names = {f"{alias}/{name}": b"1" for alias in ("default", "copied") for name in ("first", "second")}
    assert [held(server) for server in servers] == [names] * 3
    assert "pending 0" in output


@pytest.mark.parametrize("site", ["postgresql"], indirect=True)
def test_both_at_the_same_time(site):
    site, servers = site
    site.run("new", MIGRATE)
    servers[2].refuse = True
    script = """
for number in range(10):
    for alias in ("default", "copied"):
        name = storages[alias].save(f"{alias}/{number}", ContentFile(b"1"))
        if number % 2:
            storages[alias].delete(name)
    drain()
"""
    running = [site.start(version, script) for version in ("old", "new", "old", "new")]
    for process in running:
        site.finish(process)
    servers[2].refuse = False
    site.run("old", DRAIN)
    output = site.run("new", f"{DRAIN}\n{PENDING}")
    assert held(servers[0]) == held(servers[1]) == held(servers[2])
    assert len(held(servers[0])) == 40
    assert "pending 0" in output

"""While a site is deployed, some of its processes run version 0.1, and others this one, on one table: both as their wheels."""

import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
from contextlib import ExitStack

import pytest

import resto
from kit.documents import ROOT
from kit.servers import clean_environment
from sites.workshop.site import held


VERSION_0_1 = "0bef463"

# A process of one version, with all that takes long to import. It is forked for each that a site has.
PROCESS = """
import json, os, signal, sys, traceback
import pymysql
pymysql.install_as_MySQLdb()
import django.core.management, django.db.backends.mysql.base, django.db.backends.postgresql.base
import requests
import resto
print(resto.__file__, resto.__version__, flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
is_forked = False
while not is_forked and (line := sys.stdin.readline()):
    is_forked = os.fork() == 0
if is_forked:
    configured, script, output = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY), number)
    from django.conf import settings
    settings.configure(**configured)
    django.setup()
    from django.core.files.base import ContentFile
    from django.core.files.storage import storages
    from django.core.management import call_command
    if resto.__version__ == "0.1.0":
        from resto import pending as leases
        from resto.drain import drain
    else:
        from resto.record import leases
        from resto.repair.drain import drain
    exec(script)
    print("succeeded")
"""


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def installed(source, folder):
    """Build the wheel of a version, and install it; return where."""
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(folder / "wheel"),
        cwd=source,
    )
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index"]
    wheels = map(str, (folder / "wheel").glob("*.whl"))
    run(*pip, "--no-compile", "--target", str(folder / "installed"), *wheels)
    return folder / "installed"


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    """A process of either version, "old" and "new"."""
    archive = subprocess.run(["git", "archive", VERSION_0_1], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("needs the history of the repository, which has version 0.1")
    source = tmp_path_factory.mktemp("source-0.1")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(source, filter="data")
    with ExitStack() as stack:
        yield {
            version: stack.enter_context(started(installed(where, tmp_path_factory.mktemp(version)), number))
            for version, where, number in (("old", source, "0.1.0"), ("new", ROOT, resto.__version__))
        }


def started(folder, number):
    environment, pipes = (
        clean_environment() | {"PYTHONPATH": str(folder)},
        {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
    )
    process = subprocess.Popen([sys.executable, "-P", "-c", PROCESS], env=environment, text=True, **pipes)
    assert process.stdout.readline() == f"{folder / 'resto' / '__init__.py'} {number}\n"
    return process


class Site:
    """A site whose processes run either version."""

    def __init__(self, folder, database, versions, servers):
        options = {
            alias: {
                "hosts": [f"{server.url}{alias}/" for server in servers],
                "transport": "webdav",
                "fatal_exceptions": False,
            }
            for alias in ("default", "copied")
        }
        self._settings = {
            "SECRET_KEY": "x",
            "INSTALLED_APPS": ["resto"],
            "MEDIA_URL": "/media/",
            "DATABASES": {"default": {key: str(value) for key, value in database.items()}},
            "STORAGES": {
                "default": {
                    "BACKEND": "resto.storage.HybridStorage",
                    "OPTIONS": options["default"] | {"location": str(folder / "media")},
                },
                "copied": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options["copied"]},
            },
            "RESTO_GRACE": 1,
            "RESTO_LEASE": 20,
        }
        self._versions, self._folder, self._numbers = versions, folder, itertools.count()

    def start(self, version, script):
        """Let a process run a script, and return what it writes to, until it has ended."""
        output = self._folder / f"output-{next(self._numbers)}"
        os.mkfifo(output)
        process = self._versions[version]
        print(json.dumps([self._settings, script, str(output)]), file=process.stdin, flush=True)
        return output

    def run(self, version, script):
        return self.finish(self.start(version, script))

    @staticmethod
    def finish(output):
        told = output.read_text()
        assert told.endswith("succeeded\n"), told
        return told


@pytest.fixture(params=["postgresql", *(pytest.param(name, marks=pytest.mark.long) for name in ("sqlite", "mariadb"))])
def site(request, tmp_path, new_database, versions, resto_server_factory):
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"}
    database = sqlite if request.param == "sqlite" else new_database(request.param)
    servers = [resto_server_factory() for _ in range(3)]
    for server in servers:
        for alias in ("default", "copied"):
            server.create_file(f"{alias}/first", b"")
            server.delete_file(f"{alias}/first")  # the directory stays
    return Site(tmp_path, database, versions, servers), servers


MIGRATE = "call_command('migrate', 'resto', verbosity=0)"
SAVE = """
for alias in ("default", "copied"):
    storages[alias].save(NAME, ContentFile(b"1"))
    storages[alias].save(f"{NAME}-gone", ContentFile(b"1"))
    storages[alias].delete(f"{NAME}-gone")
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
def test_there_and_back_and_there_again(site):
    """As docs/from-0-1-to-0-2.md says, with a host that has missed something before each step."""
    site, servers = site
    site.run("old", "call_command('migrate', 'resto', verbosity=0)")
    servers[1].refuse = True
    site.run("old", f"NAME = 'before'\n{SAVE}")
    site.run("new", MIGRATE)
    for version, name in (("new", "after"), ("old", "back"), ("new", "again")):
        site.run(version, f"NAME = {name!r}\n{SAVE}")
    servers[1].refuse = False
    output = site.run("new", f"{DRAIN}\n{PENDING}")
    names = {
        f"{alias}/{name}": b"1" for alias in ("default", "copied") for name in ("before", "after", "back", "again")
    }
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
        name = storages[alias].save(f"{number}", ContentFile(b"1"))
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

"""Writers, drains, databases and media servers that are killed at random; at the end all hosts are equal."""

import os
import random

import pytest

from sites.workshop.site import Workshop, files_below, held, wait_until


KILLS = 150 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 8
NAMES = [f"{number % 3}/{number}.bin" for number in range(12)]


SERVERS = ["postgresql", "mariadb"]


def give_the_record_a_file_of_its_own(site):
    """Let the record not be in the transactions of the site."""
    names = {"default": site.folder / "db.sqlite3", "record": site.folder / "record.sqlite3"}
    databases = {
        alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(name), "OPTIONS": {"timeout": 20}}
        for alias, name in names.items()
    }
    site.add_settings(DATABASES=databases, RESTO_DATABASE="record")
    site.run("-m", "django", "migrate", "resto", "--database", "record", "--verbosity", "0")


@pytest.fixture
def open_record_site(new_database):
    """A function that opens a site whose leases are short, with a database of the kind."""
    sites = []

    def open_one(hosts, kind="sqlite", storage="Hybrid"):
        settings = {"DATABASES": {"default": new_database(kind)}} if kind in SERVERS else {}
        settings |= {"RESTO_LEASE": 3, "RESTO_GRACE": 1}
        options = {"transport": "webdav"}
        options |= (
            {"write_quorum": 2} if storage == "Distributed" else {"allow_overwrite": True, "fatal_exceptions": False}
        )
        site = Workshop(hosts, options, backend=f"resto.storage.{storage}Storage", **settings)
        sites.append(site)
        site.run("-m", "django", "migrate", "--verbosity", "0")
        return site

    yield open_one
    for site in sites:
        site.close()


class Scene:
    """A site with writers, drains, media servers and perhaps a database that can be killed.

    Args:
        site: The site.
        servers: Its media servers.
        database: Its database, if that is a server.
        choice: Chooses whom to kill.
    """

    def __init__(self, site, servers, database, choice):
        self.site, self.servers, self.database, self.choice = site, servers, database, choice
        self.drains = [self.start_drain() for _ in range(2)]
        self.writers = [self.start_writer() for _ in range(2)]

    def start_drain(self):
        return self.site.manage("resto_drain", "--watch", ready="Watching")

    def start_writer(self):
        return self.site.start("python", "-m", "sites.workshop.scribbler", *NAMES, ready="writing")

    def kill(self, victim):
        """Kill one of a kind, and start it again."""
        getattr(self, f"kill_{victim}")()

    def kill_writer(self):
        self.writers.pop(self.choice.randrange(2)).kill()
        self.writers.append(self.start_writer())

    def kill_drain(self):
        number = self.choice.randrange(2)
        self.drains[number].kill()
        self.drains[number] = self.start_drain()

    def kill_server(self):
        server = self.choice.choice(self.servers)
        server.kill()
        server.start()

    def kill_database(self):
        self.database.kill()
        self.database.start()
        self.stop_writing()  # if they still live; an error ends them
        self.writers = [self.start_writer() for _ in range(2)]

    def let_them_write(self):
        """Return when some more has been written."""
        before = self.written()
        wait_until(lambda: self.written() >= before + 10, lambda: self.site.log)

    def written(self):
        return sum(writer.log.count("wrote") for writer in self.writers)

    def stop_writing(self):
        for writer in self.writers:
            writer.kill()


@pytest.mark.hypothesis  # not really, but as random: "make explore" is to find it, and to kill more often
@pytest.mark.parametrize(
    ("storage", "kind"),
    [
        ("Hybrid", "sqlite"),
        pytest.param("Hybrid", "postgresql", marks=pytest.mark.long),
        pytest.param("Hybrid", "mariadb", marks=pytest.mark.long),
        ("Distributed", "postgresql"),
    ],
)
def test_whatever_is_killed_the_hosts_end_equal(storage, kind, request, start_server, open_record_site):
    """To the master copy, or to each other where there is none."""
    seed = random.randrange(1_000_000)
    choice = random.Random(seed)
    servers = [start_server("nginx-dav") for _ in range(3)]
    site = open_record_site([server.url for server in servers], kind, storage)
    if kind == "sqlite":
        give_the_record_a_file_of_its_own(site)  # else a writer that is killed takes its rows along
    scene = Scene(site, servers, request.getfixturevalue(kind) if kind in SERVERS else None, choice)
    victims = ["writer", "drain", "server", *(["database"] if kind in SERVERS else [])]
    victims += choice.choices(victims, k=KILLS - len(victims))
    choice.shuffle(victims)
    for victim in victims:
        scene.let_them_write()
        scene.kill(victim)
    scene.stop_writing()
    truth = site.media if storage == "Hybrid" else servers[0].root

    def equal():
        master = files_below(truth)
        return all(files_below(server.root) == master for server in servers)

    # What the dead have held becomes due when their lease ends, which is short here.
    wait_until(lambda: equal() and site.pending() == 0, lambda: f"seed {seed}\n{site.log}")
    assert files_below(truth)


def test_drains_fill_a_host_together(media_servers, open_record_site):
    """While a comparison waits for them."""
    hosts = [media_servers("nginx-dav").new_folder() for _ in range(2)]
    site = open_record_site([url for url, _ in hosts], "postgresql")
    content = {f"{number % 7}/{number}.bin": b"%d" % number for number in range(100)}
    for name, written in content.items():
        path = site.media / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(written)
    drains = [site.manage("resto_drain", "--watch", ready="Watching") for _ in range(2)]
    printed = site.run("-m", "django", "resto_sync", "--hand-over", "--wait", "-v", "0")
    assert printed.count("100 missing, 100 sent.") == 2
    assert [files_below(folder) for _, folder in hosts] == [content] * 2
    assert site.pending() == 0
    assert all(drain.process.poll() is None for drain in drains)


CLAIM = """
import django
django.setup()
from resto.outcomes import Outcome
from resto.record import claims
print("claiming", flush=True)
while True:
    for one in claims.claim(5):
        print("got", one.name, flush=True)
        one.lease.settle([Outcome("upload", one.host, one.name, 0.0)])
"""

FALL_DUE = """
import django
django.setup()
from resto.record import opening
for lease in opening.open_leases("default", [("http://media-1/", str(number)) for number in range(100)]):
    lease.release(0)
"""


@pytest.mark.parametrize("kind", SERVERS)  # SQLite has one writer at a time
def test_no_row_is_claimed_by_two(kind, open_record_site):
    site = open_record_site(["http://media-1/"], kind)
    claimers = [site.start("python", "-c", CLAIM, ready="claiming") for _ in range(2)]
    site.run("-c", FALL_DUE)
    wait_until(lambda: site.log.count("got") >= 100, lambda: site.log)
    got = [line.split()[1] for claimer in claimers for line in claimer.log.splitlines() if line.startswith("got")]
    assert sorted(got, key=int) == [str(number) for number in range(100)]


ROLLED_BACK = """
import sys
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection, transaction
from resto.models import Pending
storage = storages["default"]
with transaction.atomic():
    storage.save("a", ContentFile(b"1"))
    storage.delete("b")
    transaction.set_rollback(True)
print(connection.vendor, sorted(Pending.objects.values_list("name", "present")))
"""


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS, "sqlite of its own"])
def test_rows_outlive_a_rollback_where_a_second_connection_can_write(kind, resto_server_factory, open_record_site):
    server = resto_server_factory()
    server.refuse = True
    site = open_record_site([server.url], kind)
    if kind == "sqlite of its own":
        give_the_record_a_file_of_its_own(site)
    code = (
        ROLLED_BACK.replace("Pending.objects", 'Pending.objects.using("record")')
        if kind.endswith("own")
        else ROLLED_BACK
    )
    vendor = "mysql" if kind == "mariadb" else kind.split()[0]
    expected = "sqlite []" if kind == "sqlite" else f"{vendor} [('a', True), ('b', False)]"
    assert expected in site.run("-c", code).splitlines()


MANUAL = """
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from resto.models import Pending
transaction.set_autocommit(False)
storages["default"].save("a", ContentFile(b"1"))
transaction.rollback()
print("pending:", Pending.objects.count())
"""


@pytest.mark.parametrize("kind", SERVERS)
def test_rows_outlive_a_rollback_by_hand(kind, resto_server_factory, open_record_site):
    server = resto_server_factory()
    server.refuse = True
    site = open_record_site([server.url], kind)
    assert "pending: 1" in site.run("-c", MANUAL)


@pytest.mark.parametrize(
    ("end", "action", "kind"),
    [("commit", "save", "mariadb"), ("rollback", "save", "postgresql"), ("kill", "delete", "mariadb")],
)
def test_any_end_of_a_transaction_with_a_host_down(end, action, kind, resto_server_factory, open_record_site):
    """The hosts end equal to the master copy, whatever that is."""
    servers = [resto_server_factory() for _ in range(2)]
    site = open_record_site([server.url for server in servers], kind)
    if action == "delete":
        site.run("-c", TRANSACTION, "save", "commit")
    servers[1].refuse = True
    site.start("python", "-c", TRANSACTION, action, end, ready="").process.wait(300)
    assert held(servers[1]) != files_below(site.media)
    servers[1].refuse = False
    site.manage("resto_drain", "--watch", ready="Watching")
    wait_until(lambda: all(held(server) == files_below(site.media) for server in servers) and site.pending() == 0)


def test_drain_outlives_a_database_that_is_restarted(mariadb, resto_server_factory, open_record_site):
    server = resto_server_factory()
    site = open_record_site([server.url], "mariadb")
    drain = site.manage("resto_drain", "--watch", ready="Watching")
    mariadb.kill()
    drain.wait_for("The record cannot be reached")
    mariadb.start()
    server.refuse = True
    site.run("-c", TRANSACTION, "save", "commit")
    server.refuse = False
    wait_until(lambda: held(server) == files_below(site.media), lambda: site.log)


TRANSACTION = """
import os, signal, sys
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
storage = storages["default"]
with transaction.atomic():
    storage.save("a", ContentFile(b"1")) if sys.argv[1] == "save" else storage.delete("a")
    if sys.argv[2] == "rollback":
        transaction.set_rollback(True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
"""

"""How a site is, without asking a host."""

import json
import threading
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import DatabaseError, connection

from kit.brokers import default_database
from kit.hosts import lagging_storage
from resto.bounded import Bounded
from resto.models import Host, Run
from resto.record import identities, leases
from resto.repair import overview as module
from resto.repair.overview import master_problems, overview, reason_not_to_be_ready, record_problem


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_overview")]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def storage(settings, media_root, servers):
    return lagging_storage(
        settings, servers, spread="resto.storage.DistributedStorage", other="django.core.files.storage.InMemoryStorage"
    )


def hosts_of(alias):
    (found,) = [one for one in overview() if one.storage == alias]
    return found.hosts


def test_all_is_fine(storage, servers):
    storage.save("a", ContentFile(b"1"))
    assert [one.storage for one in overview()] == ["default", "spread"]
    assert overview()[0].as_dict() == {
        "storage": "default", "compared": None, "code_of_comparison": None, "watching": 0,
        "hosts": tuple(
            {
                "host": server.url, "pending": 0, "has_more": False, "under_way": 0, "oldest": None, "due": None,
                "error": "", "is_gone": False, "is_left_out": False, "drained": None, "open_breakers": 0, "compared": 0,
            }
            for server in servers
        ),
    }  # fmt: skip


def test_host_that_lags(storage, servers):
    servers[1].refuse = True
    before = leases.clock()
    storage.save("a", ContentFile(b"1"))
    first, second = hosts_of("default")
    assert (first.pending, second.pending) == (0, 1)
    assert before - 1 <= second.oldest <= leases.clock()
    assert second.oldest < second.due
    assert "connection refused" in second.error
    assert [one.pending for one in hosts_of("spread")] == [0, 0]


def test_no_host_is_asked(storage, servers):
    overview(), master_problems(), record_problem(), reason_not_to_be_ready()
    assert [server.requests for server in servers] == [[], []]


def test_host_that_has_left_the_settings(storage, settings, servers):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    assert [one.host for one in hosts_of("default")] == [servers[0].url]


def test_what_is_known_of_hosts(storage, servers):
    one, other = (server.url for server in servers)
    identities.put("default", one, "1" * 32, state=identities.GONE)
    identities.put("spread", other, "2" * 32, state=identities.NEW)
    assert [host.is_gone for host in hosts_of("default")] == [True, False]
    assert [host.is_left_out for host in hosts_of("default")] == [False, False]
    assert [host.is_left_out for host in hosts_of("spread")] == [False, True]


def test_drains_and_comparisons(storage, servers):
    times = {"asked": 5.0, "started": 10.0, "seen": 20.0, "ended": 20.0, "code": 0}
    Run.objects.create(kind="drain", storage="default", hosts=f'["{servers[0].url}"]', **times)
    Run.objects.create(kind="sync", storage="default", **times | {"ended": 15.0})
    Run.objects.create(kind="sync", storage="default", **times | {"code": 1})
    found = overview()[0]
    assert [host.drained for host in found.hosts] == [20, None]
    assert (found.compared, found.code_of_comparison) == (15, 1)


def test_processes_that_stay(storage, servers):
    """They say which hosts do not answer them."""
    one, other = (server.url for server in servers)

    def add(storage, silent, *breakers):
        seen = time.time() - silent
        names = ("storage", "host", "state")
        report = {"breakers": [dict(zip(names, breaker, strict=True)) for breaker in breakers]}
        times = {"asked": seen, "started": seen, "seen": seen}
        Run.objects.create(kind="watch", storage=storage, report=json.dumps(report), **times)

    add("", 0, ("default", one, "open"), ("spread", other, "probing"))
    add("default", 0, ("default", one, "open"), ("default", other, "closed"))
    add("default", 3600, ("default", one, "open"))  # has died
    Run.objects.create(kind="watch", storage="other", asked=time.time(), started=time.time(), seen=time.time())
    assert [one.watching for one in overview()] == [2, 1]
    assert [host.open_breakers for host in hosts_of("default")] == [2, 0]
    assert [host.open_breakers for host in hosts_of("spread")] == [0, 1]


def test_storage_that_cannot_be_used(storage, settings):
    settings.STORAGES = {**settings.STORAGES, "broken": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"x": 1}}}
    assert [(one.storage, len(one.hosts)) for one in overview()] == [("default", 2), ("spread", 2), ("broken", 0)]
    assert "x" in master_problems()["broken"]
    assert reason_not_to_be_ready() == "STORAGES['broken'] cannot be used: manage.py check says why."


@pytest.mark.usefixtures("without_application")
def test_without_a_record(storage):
    with pytest.raises(Exception, match='"resto" is not in INSTALLED_APPS'):
        overview()
    assert (record_problem(), reason_not_to_be_ready()) == ("", "")


@pytest.mark.usefixtures("identities_apply")
def test_master_copy(storage, media_root):
    """It is looked at without changing anything."""
    assert master_problems() == {"default": ""}
    storage.save("a", ContentFile(b"1"))
    before = Host.objects.get(host="").looked
    module.forget()
    assert master_problems() == {"default": ""}
    assert reason_not_to_be_ready() == ""
    media_root.rename(media_root.with_name("elsewhere"))
    module.forget()
    assert "is it mounted?" in master_problems()["default"].lower()
    assert reason_not_to_be_ready() == "The directory of STORAGES['default'] does not prove to be its master copy."
    assert str(media_root) not in reason_not_to_be_ready()
    assert Host.objects.get(host="").looked == before


@pytest.mark.usefixtures("identities_apply")
def test_disk_that_does_not_answer(storage, monkeypatch):
    """As one of a server that is gone."""
    it_is_back = threading.Event()
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    module.forget()
    monkeypatch.setattr(storage.belief, "examine", lambda: (None, it_is_back.wait() and None))
    assert master_problems() == {"default": "its directory has not answered for 0.05 s"}
    it_is_back.set()


@pytest.mark.usefixtures("identities_apply")
def test_error_that_says_nothing_is_one(storage, monkeypatch):
    def examine():
        raise RuntimeError

    monkeypatch.setattr(storage.belief, "examine", examine)
    assert master_problems() == {"default": "RuntimeError()"}


@pytest.mark.usefixtures("identities_apply")
def test_disks_are_waited_for_at_the_same_time(storage, settings, tmp_path, monkeypatch):
    together = threading.Barrier(2, timeout=5)
    backend = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"location": str(tmp_path / "second")}}
    settings.STORAGES = {**settings.STORAGES, "second": backend}
    monkeypatch.setattr(module, "PATIENCE", 60)
    module.forget()
    for alias in ("default", "second"):
        monkeypatch.setattr(storages[alias].belief, "examine", lambda: (None, together.wait() and None))
    assert master_problems() == {"default": "", "second": ""}


def test_no_connection_is_left(storage, tmp_path):
    path = tmp_path / "db.sqlite3"
    with default_database({"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}):
        call_command("migrate", "resto", verbosity=0)
        connection.close()
        assert len(overview()) == 2
        assert [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink() and fd.readlink() == path] == []


@pytest.fixture
def lost_table(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE resto_run RENAME TO resto_away")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE resto_away RENAME TO resto_run")


@pytest.mark.usefixtures("lost_table", "identities_apply")
def test_record_that_cannot_be_read(storage):
    """What it would say of directories is not known."""
    assert master_problems() == {}
    with pytest.raises(Exception, match="a table of the record is missing"):
        overview()
    assert "a table of the record is missing" in record_problem()
    assert reason_not_to_be_ready() == "The record cannot be read."


@pytest.mark.usefixtures("identities_apply")
def test_master_copy_of_which_nothing_is_known_as_the_record_does_not_answer(storage, monkeypatch):
    def examine():
        raise DatabaseError("gone")

    monkeypatch.setattr(storage.belief, "examine", examine)
    assert master_problems() == {}


def test_answers_are_kept(storage, servers):
    """Several may ask at the same time; the looks themselves are those of `resto.bounded`."""
    assert hosts_of("default")[1].pending == 0
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    assert hosts_of("default")[1].pending == 0
    module.forget()
    assert hosts_of("default")[1].pending == 1
    assert isinstance(module._overview, Bounded)

"""Changes of the master copy are recorded before them, and settled after the hosts have followed."""

import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, transaction

from resto.exceptions import ReplicationError
from resto.master.copy import MasterCopy
from resto.master.root import Root
from resto.models import Pending
from resto.record import changes, leases, opening, rows
from resto.repair.drain import drain
from resto.storage import HybridStorage, replication


pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(leases, "_unreachable", set())


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def make(settings, media_root, servers):
    media_root.mkdir()
    settings.RESTO_MEDIA_HOSTS = [server.url for server in servers]

    def make_storage(kind="Hybrid", **options):
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
        return storages["default"]

    return make_storage


def recorded():
    return [(row.host, row.name, row.present) for row in Pending.objects.order_by("id")]


@pytest.fixture
def seen(monkeypatch):
    """What was recorded each time that the master copy changed."""
    found = []

    def watch(owner, method):
        original = getattr(owner, method)

        def call(self, *args, **kwargs):
            found.append(recorded())
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, method, call)

    watch(Root, "publish")
    watch(MasterCopy, "delete")
    return found


def test_row_is_there_before_the_master_copy_changes(make, servers, seen):
    storage, hosts = make(allow_overwrite=True), [server.url for server in servers]
    storage.save("a", ContentFile(b"1"))
    with storage.open("a", "wb") as file:
        file.write(b"2")
    storage.delete("a")
    assert seen == [[(host, "a", present) for host in hosts] for present in (True, True, False)]
    assert recorded() == []


def test_row_is_for_the_name_that_the_file_gets(make, monkeypatch):
    storage, publish, names = make(), Root.publish, []

    def taken_at_first(self, temporary, name, *, replace):
        names.append([row[1] for row in recorded()])
        return len(names) > 1 and publish(self, temporary, name, replace=replace)

    monkeypatch.setattr(Root, "publish", taken_at_first)
    saved = storage.save("a", ContentFile(b"1"))
    assert names == [["a"] * 2, [saved] * 2]
    assert recorded() == []


def test_database_that_is_down_fails_the_save_before_anything_changes(make, servers, media_root, monkeypatch):
    def fail(*args, **kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr(opening, "open_lease", fail)
    storage = make()
    with pytest.raises(DatabaseError):
        storage.save("a", ContentFile(b"1"))
    assert [path for path in media_root.rglob("*") if path.is_file()] == []
    assert [server.requests for server in servers] == [[], []]


def test_host_that_fails_stays_recorded(make, servers):
    servers[1].refuse = True
    make(fatal_exceptions=False).save("a", ContentFile(b"1"))
    assert recorded() == [(servers[1].url, "a", True)]


def test_undone_save_stays_recorded_where_the_host_has_refused(make, servers):
    """It may have an older file of that name, which the master copy does not have any more."""
    servers[1].refuse = True
    with pytest.raises(ReplicationError, match="the save was undone"):
        make().save("a", ContentFile(b"1"))
    assert recorded() == [(servers[1].url, "a", False)]


def test_undone_save_stays_recorded_where_the_upload_may_still_land(make, servers):
    """Even though the deletion that followed has succeeded: it may be overtaken."""
    servers[1].drop_answer, servers[1].fault_methods = True, {"PUT"}
    with pytest.raises(ReplicationError):
        make().save("a", ContentFile(b"1"))
    assert recorded() == [(servers[1].url, "a", False)]
    row = Pending.objects.get()
    assert row.quiet_until - row.created >= 60


def test_undoing_that_fails_stays_recorded(make, servers):
    servers[0].refuse_code, servers[0].fault_methods = 500, {"DELETE"}
    servers[1].refuse = True
    with pytest.raises(ReplicationError, match="except on"):
        make().save("a", ContentFile(b"1"))
    assert (servers[0].url, "a", False) in recorded()


def test_delete_and_written_file_that_fail_stay_recorded(make, servers):
    storage = make()
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="was not undone"):
        storage.delete("a")
    with pytest.raises(ReplicationError, match="was not undone"), storage.open("b", "wb") as file:
        file.write(b"2")
    assert recorded() == [(servers[0].url, "a", False), (servers[0].url, "b", True)]


def test_deleting_a_directory_leaves_nothing(make, media_root):
    (media_root / "d").mkdir()
    (media_root / "d" / "a").touch()
    with pytest.raises(IsADirectoryError):
        make().delete("d")
    assert recorded() == []
    (media_root / "d" / "a").unlink()
    make().delete("d")
    assert recorded() == []


def test_interrupted_save_stays_recorded(make, servers, monkeypatch):
    storage = make()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "_run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.save("a", ContentFile(b"1"))
    assert len(recorded()) == 2


def test_subclass_that_tells_nothing_stays_recorded(make, settings):
    """An overridden `execute` need not say what became of the hosts; a drain finds out."""
    make()
    settings.STORAGES = {"default": {"BACKEND": f"{__name__}.SilentStorage"}}
    storage = storages["default"]
    storage.save("a", ContentFile(b"1"))
    assert len(recorded()) == 2


class SilentStorage(HybridStorage):
    def execute(self, func, name, *args, **kwargs):
        super().execute(func, name, *args, **kwargs)


# Async.


def test_async_hands_over_when_the_transaction_ends(make, servers, django_capture_on_commit_callbacks):
    storage = make("Async", executor="inline")
    with django_capture_on_commit_callbacks(execute=True):
        storage.save("a", ContentFile(b"1"))
        assert len(recorded()) == 2
        assert [server.requests for server in servers] == [[], []]
    assert [server.files for server in servers] == [{"a": b"1"}] * 2
    assert recorded() == []


def test_async_settles_all_hosts_at_once(make, servers, django_capture_on_commit_callbacks, monkeypatch):
    settled = []
    monkeypatch.setattr(leases.Lease, "settle", lambda self, outcomes: settled.append(len(list(outcomes))))
    storage = make("Async", executor="inline")
    with django_capture_on_commit_callbacks(execute=True):
        storage.save("a", ContentFile(b"1"))
    assert settled == [2]


def test_rollback_leaves_what_was_not_handed_over(make, servers, media_root, django_capture_on_commit_callbacks):
    """Here the rows are in the transaction of the test case; with a database of its own they would stay."""
    storage = make("Async", executor="inline")
    with django_capture_on_commit_callbacks(execute=True) as callbacks, transaction.atomic():
        storage.save("a", ContentFile(b"1"))
        transaction.set_rollback(True)
    assert callbacks == []
    assert (media_root / "a").exists()
    assert [server.requests for server in servers] == [[], []]


# What holds a lease.


def test_lease_is_that_of_whoever_calls():
    lease = object()
    assert changes.current_lease() is None
    with changes.holding(lease):
        assert changes.current_lease() is lease
        found = []
        thread = threading.Thread(target=lambda: found.append(changes.current_lease()))
        thread.start()
        thread.join()
        assert found == [None]
        assert changes.call_holding(None, changes.current_lease) is None
        assert changes.current_lease() is lease
    assert changes.current_lease() is None


def test_upload_is_broken_off_when_the_lease_is_lost(make, servers, monkeypatch):
    """Whoever has taken over may have cleared the row, and nobody would look after the rest of it."""
    storage, clock = make(fatal_exceptions=False), [0.0]
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    original = replication.leased

    def leased(content, lease):
        clock[0] += 1_000
        Pending.objects.update(owner="somebody else")
        return original(content, lease)

    monkeypatch.setattr(replication, "leased", leased)
    storage.save("a", ContentFile(b"1"))
    assert [server.files for server in servers] == [{}, {}]
    assert {row.owner for row in Pending.objects.all()} == {"somebody else"}


def test_first_file_of_a_site_whose_save_was_undone(make, servers, media_root, monkeypatch):
    """An empty master copy is right then, and not one that is not mounted."""
    storage, now = make(), [0.0]
    monkeypatch.setattr(leases, "clock", lambda: now[0])
    servers[0].refuse = True
    with pytest.raises(ReplicationError, match="the save was undone"):
        storage.save("a", ContentFile(b"1"))
    assert list(media_root.iterdir()) == []
    servers[0].refuse = False
    servers[0].create_file("a", b"of a save before")
    now[0] += 100
    assert drain().done == 1
    assert servers[0].files == {}


def test_record_that_fails_while_a_save_is_undone(make, servers, monkeypatch, caplog):
    storage = make()
    servers[0].refuse = True

    def fail(where, *more, **values):
        raise DatabaseError("gone")

    monkeypatch.setattr(rows, "update", fail)
    with pytest.raises(ReplicationError, match="the save was undone"):
        storage.save("a", ContentFile(b"1"))
    assert not storage.exists("a")
    assert "Failed to record what became of a." in caplog.text

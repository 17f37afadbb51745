"""The reservation of a name where there is no master copy."""

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.record import files, pending_for
from resto import health
from resto.exceptions import ReplicationError
from resto.record import opening
from resto.repair.drain import Drained, drain
from resto.storage import DistributedStorage


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OLD, NEW = ContentFile(b"old"), ContentFile(b"new")


def test_name_can_be_used_again_although_a_host_has_missed_its_deletion(storage, servers, clock):
    """As those do that delete a file and then save it, and do not look at the name that they get."""
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    assert storage.exists("a") is False
    assert storage.save("a", ContentFile(b"2")) == "a"
    servers[0].refuse = False
    clock[0] += 10
    with storage.open("a") as file:
        assert file.read() == b"2"
    assert drain() == Drained(done=1)
    assert files(servers) == [{"a": b"2"}] * 3
    assert pending_for() == []


def test_host_that_has_missed_a_deletion_gets_what_is_saved_at_once(storage, servers):
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    health.forget()
    assert storage.save("a", ContentFile(b"2")) == "a"
    assert files(servers) == [{"a": b"2"}] * 3
    assert pending_for() == []


@pytest.mark.parametrize("present", [True, False])
def test_name_is_taken_while_a_request_may_be_under_way(storage, servers, clock, present):
    opening.open_change("default", storage.hosts[:1], "a", present=present)
    assert storage.save("a", ContentFile(b"1")) != "a"
    assert pending_for() == [(servers[0].url, "a", present)]


def test_name_of_a_save_that_a_host_has_missed_is_taken(storage, servers):
    servers[0].refuse = True
    storage.save("a", ContentFile(b"1"))
    assert storage.save("a", ContentFile(b"2")) != "a"
    assert [row for row in pending_for() if row[1] == "a"] == [(servers[0].url, "a", True)]


def test_missed_deletion_is_not_forgotten_by_a_save_that_gives_up(storage, servers, clock):
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False

    class BrokenFile(ContentFile):
        def chunks(self, chunk_size=None):
            raise OSError("the disk is broken")

    with pytest.raises(OSError, match="broken"):
        storage.save("a", BrokenFile(b""))
    assert pending_for() == [(servers[0].url, "a", False)]
    clock[0] += 10
    drain()
    assert files(servers) == [{}] * 3


def test_undone_save_leaves_nothing_where_a_deletion_was_missed(make, servers, clock):
    storage = make(fatal_exceptions=False)
    storage.save("a", ContentFile(b"1"))
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    health.forget()
    storage = make(write_quorum="all")
    servers[1].fault_methods, servers[1].refuse_code = {"PUT"}, 507
    with pytest.raises(ReplicationError, match=r"the save was undone\)"):
        storage.save("a", ContentFile(b"2"))
    assert files(servers) == [{}] * 3
    clock[0] += 100
    drain()
    assert files(servers) == [{}] * 3
    assert pending_for() == []


def test_two_saves_at_the_same_moment_take_two_names(storage, servers, monkeypatch):
    """Each has found the name to be free on all hosts, and records itself before it looks whether another one has."""
    names = []
    exists = DistributedStorage.exists

    def meanwhile(self, name):
        found = exists(self, name)
        if not names:
            names.append(None)
            names.append(storages.create_storage(storages.backends["default"]).save("a", ContentFile(b"2")))
        return found

    monkeypatch.setattr(DistributedStorage, "exists", meanwhile)
    names.append(storage.save("a", ContentFile(b"1")))
    assert len(set(names)) == 3
    assert len(servers[0].files) == 2
    assert pending_for() == []


def test_name_that_was_only_looked_at_stays_free(storage):
    """A storage that does not get to save forgets what it has reserved."""

    class BrokenFile(ContentFile):
        def chunks(self, chunk_size=None):
            assert len(pending_for()) == 3
            raise OSError("the disk is broken")

    with pytest.raises(OSError, match="broken"):
        storage.save("a", BrokenFile(b""))
    assert pending_for() == []
    assert storage.get_available_name("a") == "a"
    assert pending_for() == []
    with pytest.raises(SuspiciousFileOperation):
        storage.save("a" * 20, ContentFile(b""), max_length=3)
    assert pending_for() == []


def test_save_over_a_file_is_the_last_word(storage, servers, clock):
    """As a subclass does that returns a name that is taken."""
    storage.save("a", OLD)
    servers[0].refuse = True
    storage.delete("a")
    servers[0].refuse = False
    storage._save("a", NEW)
    clock[0] += 10
    assert drain() == Drained(done=1)
    assert files(servers) == [{"a": b"new"}] * 3
    assert pending_for() == []

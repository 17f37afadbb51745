"""The reservation of a name where there is no master copy."""

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.record import files, pending_for
from resto import health
from resto.exceptions import ReplicationError
from resto.record import database, opening
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


class Overwriting(DistributedStorage):
    def get_available_name(self, name, max_length=None):
        return name


class Replacing(DistributedStorage):
    def get_available_name(self, name, max_length=None):
        if self.exists(name):
            self.delete(name)
        return name


class Deleting(DistributedStorage):
    def get_available_name(self, name, max_length=None):
        self.delete(name)
        return name


class Blind(DistributedStorage):
    def exists(self, name):
        return False


class Credulous(DistributedStorage):
    def is_name_available(self, name, max_length=None):
        return True


def change_class(storage_class, settings):
    """Return the same storage, of another class."""
    settings.STORAGES = {"default": settings.STORAGES["default"] | {"BACKEND": f"{__name__}.{storage_class.__name__}"}}
    return storages["default"]


TAKEN = "'a' is taken: .* no file is replaced: delete it first, or let get_available_name"


@pytest.mark.parametrize("storage_class", [Overwriting, Credulous])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_subclass_cannot_replace_a_file(storage, servers, settings, monkeypatch, storage_class, is_recorded):
    """It would be lost: hosts that miss one of two uploads, each another, cannot know which was the last."""
    if not is_recorded:
        monkeypatch.setattr(database, "is_active", lambda: False)
    overwriting = change_class(storage_class, settings)
    assert overwriting.save("a", OLD) == "a"
    with pytest.raises(FileExistsError, match=TAKEN):
        overwriting.save("a", NEW)
    assert files(servers) == [{"a": b"old"}] * 3
    assert pending_for() == []
    assert overwriting.save("b", NEW) == "b"


def test_subclass_that_knows_of_no_file_gets_another_name(storage, servers, settings):
    blind = change_class(Blind, settings)
    assert blind.save("a", OLD) == "a"
    assert blind.save("a", NEW) != "a"
    assert [server.get_file("a") for server in servers] == [b"old"] * 3


def test_name_of_a_file_cannot_be_saved_by_itself(storage, servers):
    """As a subclass does that has looked at another name since."""
    storage.save("a", OLD)
    assert storage.is_name_available("b")
    with pytest.raises(FileExistsError, match=TAKEN):
        storage._save("a", NEW)
    assert storage.is_name_available("a") is False
    with pytest.raises(FileExistsError, match=TAKEN):
        storage._save("a", NEW)
    assert pending_for() == []


def test_overwriting_is_refused_while_a_save_may_be_under_way(storage, servers, settings):
    opening.open_change("default", storage.hosts[:1], "a", present=True)
    with pytest.raises(FileExistsError, match="or a save or delete of it may be under way"):
        change_class(Overwriting, settings).save("a", NEW)
    assert files(servers) == [{}] * 3


def test_subclass_may_delete_a_file_and_save_another_under_its_name(storage, servers, clock, settings):
    replacing = change_class(Replacing, settings)
    for content in (b"1", b"2"):
        assert replacing.save("a", ContentFile(content)) == "a"
    servers[0].refuse = True
    assert replacing.save("a", ContentFile(b"3")) == "a"
    servers[0].refuse = False
    clock[0] += 10
    drain()
    assert files(servers) == [{"a": b"3"}] * 3
    assert pending_for() == []


def test_deletion_tells_others_although_a_save_reserves_its_name(storage, servers, settings):
    """As of a subclass that deletes while it looks for a name."""
    opening.open_change("default", storage.hosts[:1], "a", present=True).release(0)
    assert change_class(Deleting, settings).save("a", NEW) == "a"
    assert files(servers) == [{"a": b"new"}] * 3
    assert pending_for() == []

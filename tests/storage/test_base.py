"""The execution of actions, as all storages have it."""

import pickle
import sys

import pytest
from django.core.files.base import ContentFile

from kit.hosts import MemoryTransport, make
from resto.exceptions import (
    RemoteFileNotFoundError,
    ReplicationError,
    UnexpectedStatusCode,
)
from resto.storage import DistributedStorage, HybridStorage


def test_execute_returns_outcomes_in_the_order_of_the_hosts():
    storage = make()

    def touch(host, name, *args, **kwargs):
        return host, name, args, kwargs

    outcomes = storage.execute(touch, "a", 1, option=2)

    assert [outcome.value for outcome in outcomes] == [(host, "a", (1,), {"option": 2}) for host in ("one", "two")]
    assert {outcome.action for outcome in outcomes} == {"touch"}


def test_execute_raises_every_failure_at_once():
    with pytest.raises(ReplicationError) as caught:
        make(["bad-1", "one", "bad-2"]).save("a", ContentFile(b""))

    error = caught.value
    assert [outcome.host for outcome in error.failures] == ["bad-1", "bad-2"]
    assert [outcome.host for outcome in error.outcomes] == ["bad-1", "one", "bad-2"]
    assert error.__cause__ is error.outcomes[0].error
    assert str(error).startswith(
        "upload of 'a' failed on 2 of 3 hosts: bad-1: something went wrong; bad-2: something went wrong"
    )
    assert pickle.loads(pickle.dumps(error)).failures[1].host == "bad-2"


def test_execute_returns_failures_without_fatal_exceptions():
    outcomes = make(["bad", "one"], fatal_exceptions=False).execute(lambda host, name: 1 / (host == "one"), "a")

    assert [outcome.ok for outcome in outcomes] == [False, True]


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_execute_can_be_overridden(storage_class, media_root):
    calls = []

    class Recording(storage_class):
        def execute(self, func, name, *args, **kwargs):
            calls.append((func.__name__, name))
            return super().execute(func, name, *args, **kwargs)

    storage = make(storage_class=Recording)
    storage.save("a", ContentFile(b""))
    storage.delete("a")

    assert calls == [("upload", "a"), ("remove", "a")]


def test_fatal_exceptions_may_be_an_attribute_of_a_class():
    class Available(DistributedStorage):
        fatal_exceptions = False

    assert make(["bad", "one"], storage_class=Available).save("a", ContentFile(b"")) == "a"


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_missing_directory_is_a_failure_of_a_write(storage_class, media_root, monkeypatch, caplog):
    """FTP says the same of a file that is not there and of a directory."""

    def create(self, host, name, content):
        raise RemoteFileNotFoundError(host, name, "upload", "550 No such directory")

    monkeypatch.setattr(MemoryTransport, "create", create)
    storage = storage_class(["good-1"], "/media/", transport=MemoryTransport)
    with pytest.raises(ReplicationError):
        storage.save("a", ContentFile(b""))
    assert "Failed to upload a on good-1. 550 No such directory." in caplog.text


@pytest.mark.parametrize("storage_class", [HybridStorage, DistributedStorage])
def test_what_is_undone_is_not_done_within_the_failure(storage_class, media_root, monkeypatch):
    """Libraries look at the exception that is being handled to find out why something has failed."""
    handled = []

    def create(self, host, name, content):
        raise UnexpectedStatusCode(host, name, "upload", 507, "full")

    monkeypatch.setattr(MemoryTransport, "create", create)
    monkeypatch.setattr(MemoryTransport, "delete", lambda self, host, name: handled.append(sys.exception()) or False)
    storage = storage_class(["good-1"], "/media/", transport=MemoryTransport, executor="inline")
    with pytest.raises(ReplicationError):
        storage._save("a", ContentFile(b""))
    assert handled in ([None], [])

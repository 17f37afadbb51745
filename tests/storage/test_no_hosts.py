"""Storages that have no hosts on purpose, as where a site is developed."""

import threading
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.exceptions import ConfigurationError
from resto.executors.thread import ThreadExecutor
from resto.models import Pending
from resto.names import MASTER_IDENTITY


KINDS = ["Hybrid", "Async"]


@pytest.fixture
def make(settings, media_root, identities_apply):
    """A function: kind and options of a storage of STORAGES -> it."""

    def make(kind, **options):
        backend = f"resto.storage.{kind}Storage"
        settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": backend, "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def executed(monkeypatch):
    """What executors were given."""
    given = []
    for method in ("run", "submit", "run_each"):
        monkeypatch.setattr(ThreadExecutor, method, lambda executor, jobs: given.append(jobs))
    return given


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["option", "setting"])
def test_master_copy_alone_is_kept(make, settings, media_root, kind, way, executed):
    settings.RESTO_MEDIA_HOSTS = "none" if way == "setting" else ["media-1.example.com"]
    storage = make(kind, **({"hosts": "none"} if way == "option" else {}))
    before = threading.active_count()
    assert storage.save("d/a.txt", ContentFile(b"1")) == "d/a.txt"
    assert storage.save("d/a.txt", ContentFile(b"2")) != "d/a.txt"
    with storage.open("d/a.txt", "ab") as file:
        file.write(b"3")
    Path(storage.path("b.txt")).write_bytes(b"4")
    storage.publish("b.txt")
    storage.delete("b.txt")
    with storage.open("d/a.txt") as file:
        assert file.read() == b"13"
    assert not storage.exists("b.txt")
    assert storage.url("d/a.txt") == "/media/d/a.txt"
    assert storage.hosts == ()
    assert (Pending.objects.count(), executed, threading.active_count()) == (0, [], before)
    assert not (media_root / MASTER_IDENTITY).exists()


@pytest.mark.parametrize(("values", "code"), [([], "E002"), ((), "E002"), ("None", "E003"), ("media-1", "E003")])
def test_nothing_else_is_none_on_purpose(make, values, code):
    storage = make("Hybrid", hosts=values)
    assert [problem.code for problem in storage.problems()] == [code]
    assert "'none'" in storage.problems()[0].hint
    with pytest.raises(ConfigurationError):
        storage.save("a", ContentFile(b""))


ACTS = {
    "save": lambda storage: storage.save("a", ContentFile(b"")),
    "open": lambda storage: storage.open("a").read(),
    "delete": lambda storage: storage.delete("a"),
    "exists": lambda storage: storage.exists("a"),
    "size": lambda storage: storage.size("a"),
    "hosts": lambda storage: storage.hosts,
    "quorum": lambda storage: storage.write_quorum,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_storage_without_a_master_copy_needs_hosts(make, act):
    storage = make("Distributed", hosts="none")
    assert [problem.code for problem in storage.problems()] == ["E002"]
    with pytest.raises(ConfigurationError, match="DistributedStorage keeps files on hosts only") as caught:
        act(storage)
    assert "HybridStorage" in caught.value.hint


@pytest.mark.django_db
def test_hosts_that_come_later_get_what_is_there(make, resto_server, settings):
    make("Hybrid", hosts="none").save("a", ContentFile(b"1"))
    storage = make("Hybrid", hosts=[resto_server.url])
    storage.save("b", ContentFile(b"2"))
    assert {name: resto_server.has_file(name) for name in "ab"} == {"a": False, "b": True}

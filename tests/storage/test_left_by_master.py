"""Rows that a storage with a master copy has left, where there is none any more: they count from the first moment on."""

import pytest
from django.core.files.base import ContentFile

from kit.record import files, pending_for
from resto import health
from resto.models import Pending
from resto.record import opening
from resto.repair.drain import drain


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def left(storage, servers):
    """The first host has missed that a file was replaced."""
    for server, content in zip(servers, [b"old", b"new!", b"new!"], strict=True):
        server.create_file("a", content)
    lease = opening.open_lease("default", [servers[0].url], "a", present=True)
    lease.release(0)
    return storage


def test_host_that_has_missed_something_is_not_asked(left, servers):
    for _ in range(8):
        assert left.open("a").read() == b"new!"
        assert left.size("a") == 4


def test_host_that_has_missed_something_is_repaired(left, servers, clock):
    clock[0] += 100
    drain()
    assert (files(servers), pending_for()) == ([{"a": b"new!"}] * 3, [])


@pytest.mark.parametrize("key", [True, False])
def test_rows_of_version_0_1_are_found_once_a_drain_has_seen_them(left, servers, clock, key):
    Pending.objects.update(key="")
    if key:
        drain(hosts=[servers[1].url])
    assert (left.truth("a").hosts == tuple(server.url for server in servers[1:])) is key
    clock[0] += 100
    drain()
    assert (files(servers), pending_for()) == ([{"a": b"new!"}] * 3, [])


def test_deletion_tells_them_and_a_save_takes_another_name(left, servers, clock):
    assert left.save("a", ContentFile(b"2")) != "a"
    left.delete("a")
    assert left.exists("a") is False
    clock[0] += 100
    drain()
    assert ("a" in servers[0].files, pending_for()) == (False, [])


def test_rows_of_version_0_1_without_a_master_copy_count_at_once(storage, servers, clock):
    servers[0].refuse = True
    storage.save("b", ContentFile(b"1"))
    servers[0].refuse = False
    health.forget()
    Pending.objects.update(key="")
    assert storage.truth("b").hosts == tuple(server.url for server in servers[1:])
    clock[0] += 100
    drain()
    assert (files(servers), pending_for()) == ([{"b": b"1"}] * 3, [])

"""Listings without a master copy, corrected by what a host has missed."""

import random

import pytest
from django.core.files.base import ContentFile

from resto import health
from resto.record import opening


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OLD, NEW = ContentFile(b"old"), ContentFile(b"new")


def test_host_that_missed_something_is_not_listed(storage, servers, monkeypatch):
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])
    servers[0].create_file("d/b", b"1")
    servers[0].refuse = True
    storage.save("d/a", ContentFile(b"1"))
    servers[0].refuse = False
    assert storage.listdir("d") == ([], ["a"])
    assert storage.listdir("") == (["d"], [])


def test_listing_is_right_while_another_save_is_under_way(storage, servers):
    storage.save("d/gone", ContentFile(b"1"))
    servers[0].refuse = True
    storage.save("d/a", ContentFile(b"1"))
    storage.save("d/e/f", ContentFile(b"1"))
    storage.delete("d/gone")
    servers[0].refuse = False
    opening.open_change("default", storage.hosts, "d/new", present=True)
    opening.open_change("default", storage.hosts[1:2], "d/other", present=True)
    opening.open_change("default", storage.hosts[2:], "d/another", present=True)
    for _ in range(10):
        assert storage.listdir("d") == (["e"], ["a"])
    assert storage.listdir("") == (["d"], [])


def test_listing_of_a_host_that_has_missed_something(make, servers, monkeypatch):
    """If each has, that of the one that has missed least is made right."""
    storage = make(write_quorum=1)
    for number, names in enumerate(["ab", "cd", "ef"]):
        for index, server in enumerate(servers):
            server.refuse = index == number
        for name in names:
            storage.save(f"d/{name}", ContentFile(b"1"))
            storage.save(f"d/{name}-gone", ContentFile(b"1"))
            storage.delete(f"d/{name}-gone")
        health.forget()
    for server in servers:
        server.refuse = False
    for _ in range(5):
        directories, found = storage.listdir("d")
        assert (directories, sorted(found)) == ([], list("abcdef"))

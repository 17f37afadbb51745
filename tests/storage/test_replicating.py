"""Hosts are made equal to the master copy, whatever that is."""

import pytest

from resto.storage import HybridStorage


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(3)]


@pytest.fixture
def storage(servers, media_root):
    media_root.mkdir()
    return HybridStorage([server.url for server in servers], "/media/")


def test_repair_makes_hosts_equal_to_the_master_copy_whatever_that_is(storage, servers, media_root):
    (media_root / "a").write_bytes(b"content")
    servers[0].create_file("a", b"other")
    servers[1].create_file("gone", b"")
    servers[2].disk_full = True
    pairs = [(servers[0].url, "a"), (servers[1].url, "gone"), (servers[2].url, "a")]

    outcomes = storage.repair_each(pairs)

    assert {(outcome.host, outcome.name, outcome.ok) for outcome in outcomes} == {
        (servers[0].url, "a", True),
        (servers[1].url, "gone", True),
        (servers[2].url, "a", False),
    }
    assert [server.files for server in servers] == [{"a": b"content"}, {}, {}]
    assert storage.browse("").files == {"a": 7}


def test_repair_from_an_empty_master_copy_must_be_meant(storage, servers):
    servers[0].create_file("a", b"")

    (outcome,) = storage.repair_each([(servers[0].url, "a")])
    assert "is it mounted" in str(outcome.error)
    assert servers[0].has_file("a")
    (outcome,) = storage.repair_each([(servers[0].url, "a")], from_nothing=True)
    assert outcome.ok
    assert not servers[0].has_file("a")


def test_failed_repairs_are_logged(storage, servers, media_root, caplog):
    (media_root / "a").write_bytes(b"content")
    servers[0].disk_full = True
    list(storage.repair_each([(servers[0].url, "a")]))
    assert f"Failed to repair a on {servers[0].url}. PUT was answered 507" in caplog.text

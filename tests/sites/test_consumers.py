"""What `make consumers` says of hosts: that they differ when they do, and only then."""

import pytest
from django.core.files.base import ContentFile

from sites.consumers.hosts import CLASSES, Hosts


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture(params=CLASSES)
def hosts(request, servers):
    return Hosts(request.param, servers)


@pytest.fixture
def storage(hosts, media_root):
    return hosts.make_class()(str(media_root), "/media/")


def test_hosts_that_have_what_was_saved_do_not_differ(hosts, storage):
    storage.save("a", ContentFile(b"1"))
    storage.delete(storage.save("b", ContentFile(b"2")))

    assert hosts.differences() == []


def test_host_that_lacks_a_file_differs(hosts, storage, servers):
    storage.save("a", ContentFile(b"123"))
    assert hosts.differences() == []  # which waits for what is done in the background
    servers[1].delete_file(f"{storage.key}/a")

    (found,) = hosts.differences()

    assert found.endswith("3 bytes, nothing on the hosts")


def test_file_that_was_removed_by_its_path_is_gone_from_hosts_before_the_next_test(servers, media_root):
    hosts = Hosts("Hybrid", servers)
    storage = hosts.make_class()(str(media_root), "/media/")
    storage.save("a", ContentFile(b"1"))
    storage.save("b", ContentFile(b"2"))
    (media_root / "a").unlink()

    assert hosts.differences() == ["a: nothing in the master copy, 1 bytes, 1 bytes on the hosts"]
    hosts.begin()

    assert (list(servers[0].files), hosts.differences()) == ([f"{storage.key}/b"], [])


def test_hosts_without_a_master_copy_are_emptied(servers):
    hosts = Hosts("Distributed", servers)
    hosts.make_class()("/anywhere", "/media/").save("a", ContentFile(b"1"))
    hosts.clear()

    assert [dict(server.files) for server in servers] == [{}, {}]

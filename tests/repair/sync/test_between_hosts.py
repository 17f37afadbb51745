"""Hosts that are compared with each other, where nothing is recorded."""

from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.comparison import TREES, compare
from resto.repair.sync import Disagreement
from resto.storage import DistributedStorage
from resto.testing import TestHttpServer


@settings(max_examples=settings.default.max_examples // 2)
@given(hosts=st.lists(TREES, min_size=2, max_size=3), checksum=st.booleans())
def test_hosts_without_a_master_copy_are_compared_with_each_other(hosts, checksum):
    with ExitStack() as stack:
        servers = [stack.enter_context(TestHttpServer()) for _ in hosts]
        for server, host in zip(servers, hosts, strict=True):
            for name, content in host.items():
                server.create_file(name, content)
        storage = DistributedStorage([server.url for server in servers], "/media/", transport="webdav")

        report, events = compare(storage, checksum=checksum, delete=True, force=True)

        assert [server.files for server in servers] == hosts
        names = set().union(*hosts)
        sizes = {name: [len(host[name]) if name in host else None for host in hosts] for name in names}
        expected = {name for name in names if len(set(sizes[name])) > 1}
        if checksum:
            expected |= {name for name in names if len({host.get(name) for host in hosts}) > 1}
        assert {event.name for event in events} == expected
        assert all([*event.sizes.values()] == sizes[event.name] for event in events)
        assert report.agrees is not bool(expected)
        assert report.disagreements == len(expected)


def test_hosts_that_do_not_list_cannot_be_compared_with_each_other(resto_server_factory):
    servers = [resto_server_factory(webdav=False) for _ in range(2)]
    storage = DistributedStorage([server.url for server in servers], "/media/")

    report, _ = compare(storage)

    assert report.problems == ["none of its hosts lists its directories, so that nothing can be compared"]
    assert not report.agrees


def test_one_host_that_lists_is_enough(resto_server_factory):
    servers = [resto_server_factory(webdav=webdav) for webdav in (True, False, True)]
    for number, server in enumerate(servers):
        server.create_file("same", b"1")
        server.create_file("d/other", b"1" * number)
    storage = DistributedStorage([server.url for server in servers], "/media/", transport="webdav")

    report, events = compare(storage)

    assert events == [Disagreement("d/other", {server.url: number for number, server in enumerate(servers)})]
    assert not report.agrees

"""Hosts that are compared with each other, where nothing is recorded."""

from collections import Counter
from contextlib import ExitStack
from copy import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.comparison import TREES, compare
from resto.progress import Progress
from resto.repair.sync import Disagreement
from resto.storage import DistributedStorage
from resto.testing import TestHttpServer


@settings(max_examples=settings.default.max_examples // 2)
@given(hosts=st.lists(TREES, min_size=2, max_size=3), checksum=st.booleans())
def test_hosts_without_a_master_copy_are_compared_with_each_other(hosts, checksum):
    with ExitStack() as stack:
        servers = [stack.enter_context(TestHttpServer(webdav=True)) for _ in hosts]
        for server, host in zip(servers, hosts, strict=True):
            for name, content in host.items():
                server.create_file(name, content)
        storage = DistributedStorage([server.url for server in servers], "/media/", transport="webdav")

        told = []
        report, events = compare(storage, told, checksum=checksum, delete=True, force=True)

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
        assert told[-1] == Progress(len(names), len(names), is_final=True)


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


def test_no_more_is_read_of_a_file_than_its_size(resto_server_factory):
    """Whatever a host sends when it is asked for the content."""
    servers = [resto_server_factory() for _ in range(2)]
    for server in servers:
        server.create_file("a", b"12345")
    servers[1].endless, servers[1].fault_methods = True, {"GET"}
    storage = DistributedStorage([server.url for server in servers], "/media/", transport="webdav")
    taken = Counter()
    for server in servers:
        watch(storage, server.url, taken)

    report, events = compare(storage, checksum=True)

    assert [(event.name, event.contents_differ) for event in events] == [("a", True)]
    assert report.disagreements == 1
    assert taken == {servers[0].url: 5, servers[1].url: 6}


def watch(storage, url, taken):
    """Count the bytes that are taken of what a host sends."""
    transport = copy(storage.transport_for(url))
    storage._composed().transports[url] = transport
    whole = transport.open

    def opened(host, name):
        stream = whole(host, name)
        read = stream.read

        def counted(size=-1, /):
            block = read(size)
            taken[host] += len(block)
            return block

        return Watched(counted, stream.close)

    transport.open = opened


class Watched:
    def __init__(self, read, close):
        self.read = read
        self._close = close

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._close()

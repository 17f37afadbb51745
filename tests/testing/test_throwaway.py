"""Throwaway hosts: what is sent to the hosts of a site, in its tests, goes there and nowhere else."""

import tempfile
import threading
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import TestCase, TransactionTestCase, override_settings

from resto import health
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Pending
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.testing import TestHttpServer, ThrowawayHosts, ThrowawayHostsMixin
from resto.transports import Transport
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


HOSTS = ["https://media-1.example.com/media/", {"url": "media-2.example.com:8080", "auth": "media-2"}]
ADDRESSES = ["https://media-1.example.com/media/", "media-2.example.com:8080"]


class BucketTransport(Transport):
    """Speaks to a service that a test must not use."""

    def __init__(self, base_url, *, timeout, region):
        raise AssertionError("it must not be made")

    create = open = delete = exists = size = None


def storage_of(kind, **options):
    return {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": {"hosts": HOSTS} | options}


@pytest.fixture
def site(settings, media_root):
    """The settings of a site: nobody has the files and secrets that they name."""
    settings.STORAGES = {
        "default": storage_of("Hybrid", transport_options={"ca_bundle": "/nonexistent/ca.pem"}),
    }
    return settings


def save(storage, name="d/a.txt", content=b"data"):
    return storage.save(name, ContentFile(content))


def held(hosts):
    return {address: dict(server.files) for address, server in hosts.servers.items()}


def test_storages_of_the_settings(site, resto_hosts):
    assert held(resto_hosts) == {address: {} for address in ADDRESSES}
    assert save(storages["default"]) == "d/a.txt"
    assert held(resto_hosts) == {address: {"media/d/a.txt": b"data"} for address in ADDRESSES}
    assert storages["default"].hosts == tuple(ADDRESSES)
    assert storages["default"].problems() == []


def test_directory_is_put_in_place_too(settings, media_root, resto_hosts):
    """Without its options, and although it is not mounted where tests are run."""
    nas = {"url": "file:///mnt/nas/", "transport": "directory", "transport_options": {"fsync": True}}
    settings.STORAGES = {"default": storage_of("Hybrid") | {"OPTIONS": {"hosts": [*HOSTS, nas]}}}
    save(storages["default"])
    assert held(resto_hosts)["file:///mnt/nas/"] == {"d/a.txt": b"data"}


def test_storages_with_one_host_are_told_apart_by_its_path(site, resto_hosts):
    options = {"hosts": ADDRESSES[1:], "base_url": "/other/", "transport": "webdav", "write_quorum": 1}
    site.STORAGES = site.STORAGES | {"other": storage_of("Distributed", **options)}
    save(storages["default"])
    save(storages["other"], "b.txt")
    assert storages["other"].listdir("") == ([], ["b.txt"])
    assert resto_hosts.servers[ADDRESSES[1]].files == {"media/d/a.txt": b"data", "other/b.txt": b"data"}


BEFORE = {kind: kind(HOSTS, "/media/", executor="inline") for kind in (HybridStorage, DistributedStorage)}
OF_SETTINGS = HybridStorage()


@pytest.mark.parametrize("kind", BEFORE)
def test_storages_that_were_made_before(kind, media_root, resto_hosts):
    save(BEFORE[kind])
    assert list(held(resto_hosts).values()) == [{"media/d/a.txt": b"data"}] * 2


def test_storages_that_follow_the_settings(settings, media_root, resto_hosts):
    settings.RESTO_MEDIA_HOSTS = ADDRESSES
    save(OF_SETTINGS)
    with override_settings(RESTO_MEDIA_HOSTS=["media-3.example.com"], RESTO_TRANSPORT="webdav"):
        save(OF_SETTINGS, "b.txt")
    assert list(held(resto_hosts).values()) == [{"media/d/a.txt": b"data"}] * 2 + [{"media/b.txt": b"data"}]


def test_directories_that_a_test_sets(site, resto_hosts, tmp_path):
    for number in range(2):
        with override_settings(MEDIA_ROOT=str(tmp_path / str(number))):
            assert save(storages["default"], f"{number}.txt") == f"{number}.txt"
            assert (tmp_path / str(number) / f"{number}.txt").exists()
    assert all(files.keys() == {"media/0.txt", "media/1.txt"} for files in held(resto_hosts).values())


def test_failures_name_the_host_of_the_site(site, resto_hosts):
    resto_hosts.servers[ADDRESSES[1]].refuse = True
    with pytest.raises(ReplicationError, match=r"media-2\.example\.com:8080: connection refused"):
        save(storages["default"])
    assert resto_hosts.servers[ADDRESSES[0]].files == {}


def test_transport_that_speaks_no_http(site, resto_hosts):
    options = {"transport": BucketTransport, "transport_options": {"region": "x"}, "hosts": ["bucket one", "s3://two"]}
    site.STORAGES = {"default": storage_of("Hybrid", **options)}
    save(storages["default"])
    assert held(resto_hosts) == {"bucket one": {"d/a.txt": b"data"}, "s3://two": {"d/a.txt": b"data"}}


@pytest.mark.parametrize("transport", [HttpTransport, WebDAVTransport])
def test_transport_is_that_of_the_site(site, resto_hosts, transport):
    options = {"transport": transport, "transport_options": {"max_listing": 10, "auth": "missing"}}
    site.STORAGES = {"default": storage_of("Hybrid", **options)}
    assert type(storages["default"].transport) is transport
    assert storages["default"].transport._max_listing == 10


def test_queue_is_not_used(site, resto_hosts):
    """Its workers would send files to the hosts themselves."""
    site.STORAGES = {
        "default": storage_of("Async", executor="rq", executor_options={"url": "redis://nowhere.example.com"})
    }
    save(storages["default"])
    resto_hosts.wait()
    assert list(held(resto_hosts).values()) == [{"media/d/a.txt": b"data"}] * 2


def test_hosts_that_differ_in_the_scheme_only(site, resto_hosts):
    site.STORAGES = {"default": storage_of("Hybrid", hosts=["http://media-1/", "https://media-1/"])}
    save(storages["default"])
    assert list(held(resto_hosts).values()) == [{"d/a.txt": b"data"}] * 2


def test_address_that_storages_complete_in_different_ways(site, resto_hosts):
    hosts = ["media-1", "media-2"]
    site.STORAGES = {
        "default": storage_of("Hybrid", hosts=hosts),
        "other": storage_of("Distributed", hosts=hosts, base_url="https://www.example.com/other/"),
    }
    for alias in site.STORAGES:
        save(storages[alias])
    assert held(resto_hosts) == {host: {"media/d/a.txt": b"data", "other/d/a.txt": b"data"} for host in hosts}
    with ThrowawayHosts(resto_hosts) as inner:
        assert storages["other"].exists("d/a.txt")
        assert held(inner) == held(resto_hosts)


def test_address_that_is_none_is_an_error_all_the_same(site, resto_hosts):
    site.STORAGES = {"default": storage_of("Hybrid", hosts=["http://media-1?a=b"])}
    with pytest.raises(ConfigurationError, match="query"):
        save(storages["default"])


@pytest.mark.parametrize("hosts", ["none", []])
def test_site_without_hosts_gets_some(settings, media_root, hosts, resto_hosts):
    settings.RESTO_MEDIA_HOSTS = hosts
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage"}}
    save(storages["default"])
    assert held(resto_hosts) == {f"media-{number}.test": {"media/d/a.txt": b"data"} for number in (1, 2)}


def test_server_that_a_test_names_itself(settings, media_root, resto_hosts):
    settings.RESTO_MEDIA_HOSTS = ["media-1.example.com"]
    save(OF_SETTINGS)
    [server] = resto_hosts.servers.values()
    settings.RESTO_MEDIA_HOSTS = [f"{server.url}other/"]
    save(OF_SETTINGS, "b")
    assert server.files == {"media/d/a.txt": b"data", "other/b": b"data"}


def test_nothing_is_started_before_it_is_needed(site):
    before = threading.active_count()
    with ThrowawayHosts():
        assert threading.active_count() == before
        save(storages["default"])
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_hosts_are_those_of_the_settings_afterwards(site):
    site.STORAGES = {"default": storage_of("Hybrid", hosts=ADDRESSES)}
    with ThrowawayHosts() as hosts:
        hosts.servers[ADDRESSES[0]].refuse = True
        for _ in range(3):
            with pytest.raises(ReplicationError):
                save(storages["default"])
        failed = storages["default"].transport.identify(ADDRESSES[0])
        assert failed.startswith("http://127.0.0.1:")
        assert health.state(failed).state == "open"
        with ThrowawayHosts() as inner:
            save(storages["default"])
            assert all(inner.servers.values())
        assert storages["default"].transport.identify(ADDRESSES[0]) == failed
    assert storages["default"].transport.identify(ADDRESSES[0]) == ADDRESSES[0]
    assert health.state(failed).state == "closed"


def test_background_is_waited_for(site):
    """What a thread began too late would be sent to the hosts themselves."""
    site.STORAGES = {"default": storage_of("Async")}
    with ThrowawayHosts() as hosts:
        servers = hosts.servers.values()
        for server in servers:
            server.delay = 60
        save(storages["default"])
    assert [server.files for server in servers] == [{"media/d/a.txt": b"data"}] * 2
    with ThrowawayHosts() as hosts:
        save(storages["default"], "b.txt")
        hosts.wait()
        assert list(held(hosts).values()) == [{"media/b.txt": b"data"}] * 2


@pytest.mark.django_db
def test_what_a_host_misses_is_recorded(site, resto_hosts):
    site.RESTO_FATAL_EXCEPTIONS = False
    resto_hosts.servers[ADDRESSES[1]].refuse = True
    save(storages["default"])
    assert list(Pending.objects.values_list("host", "name")) == [(ADDRESSES[1], "d/a.txt")]


class Common(ThrowawayHostsMixin):
    """With a directory for the class, and one for each test."""

    @classmethod
    def setUpClass(cls):
        cls.root = cls.enterClassContext(tempfile.TemporaryDirectory())
        options = storage_of("Hybrid"), storage_of("Async", location=f"{cls.root}/async")
        cls.enterClassContext(
            override_settings(
                MEDIA_ROOT=f"{cls.root}/media", STORAGES=dict(zip(["default", "async"], options, strict=True))
            )
        )
        super().setUpClass()

    def setUp(self):
        """Without that of the mixin, as people forget."""

    def names(self):
        return [{*server.files} for server in self.resto_hosts.servers.values()]


class TransactionalTests(Common, TestCase):
    @classmethod
    def setUpTestData(cls):
        save(storages["default"], "class.txt")

    def test_one(self):
        assert self.names() == [{"media/class.txt"}] * 2
        save(storages["default"], "one.txt")
        assert self.names() == [{"media/class.txt", "media/one.txt"}] * 2

    def test_two(self):
        with override_settings(MEDIA_ROOT=f"{self.root}/own"):
            save(storages["default"], "two.txt")
        assert self.names() == [{"media/class.txt", "media/two.txt"}] * 2
        assert Path(self.root, "own", "two.txt").exists()

    def test_background_after_the_commit(self):
        with self.captureOnCommitCallbacks(execute=True):
            save(storages["async"], "committed.txt")
            assert self.names() == [{"media/class.txt"}] * 2
        self.resto_hosts.wait()
        assert self.names() == [{"media/class.txt", "media/committed.txt"}] * 2

    def test_save_that_is_rolled_back_is_not_sent(self):
        save(storages["async"], "async.txt")
        self.resto_hosts.wait()
        assert self.names() == [{"media/class.txt"}] * 2

    def test_background_has_nothing_to_complain_of(self):
        """Rows are part of the transaction of the test, in which no other thread can take note of anything."""
        with self.assertNoLogs("resto", "WARNING"):
            with self.captureOnCommitCallbacks(execute=True):
                for number in range(3):
                    save(storages["async"], f"{number}.txt")
            save(storages["default"], "waits.txt")
            self.resto_hosts.wait()
        assert {row.name for row in Pending.objects.all()} == {"0.txt", "1.txt", "2.txt"}


class CommittingTests(Common, TransactionTestCase):
    def test_background(self):
        save(storages["async"], "async.txt")
        self.resto_hosts.wait()
        assert self.names() == [{"media/async.txt"}] * 2


def test_hosts_of_a_class_end_with_it():
    case = type("Case", (ThrowawayHostsMixin, TestCase), {"databases": [], "test": lambda self: None})
    case.setUpClass()
    of_class = case.resto_hosts
    test = case("test")
    test()
    assert test.resto_hosts is not of_class
    case.tearDownClass()
    case.doClassCleanups()
    assert HttpTransport("/media/").identify("media-1") == "http://media-1/media/"


def test_servers_are_plain_test_servers(site, resto_hosts):
    assert {type(server) for server in resto_hosts.servers.values()} == {TestHttpServer}
    assert AsyncStorage(HOSTS).hosts == tuple(ADDRESSES)

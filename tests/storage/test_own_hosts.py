"""Nothing is read from a host that is something else, and no URL leads there."""

import pytest
from django.core.files.storage import storages

from kit.recognized import save, states
from resto.exceptions import ReplicationError
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY
from resto.record import opening
from resto.repair.drain import drain
from resto.storage import host_urls, own_hosts, recognition


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]


TWIN = {"transport": "webdav", "write_quorum": 1}


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def clock(monkeypatch):
    """The clock by which hosts and the record are looked at again."""
    clock = [1_000.0]
    for module in (recognition, own_hosts, host_urls):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    host_urls.forget()
    yield clock
    host_urls.forget()


@pytest.fixture
def site(begin, servers):
    """A function: begins a storage of a site that has a file, of two hosts; the address of the second leads to another site."""
    save(begin("Distributed"), "a")
    own = servers[1].files[HOST_IDENTITY]
    owner = recognition.hashed_owner(Host.objects.get(host="").identity)
    make_another_sites(servers[1], own, owner)
    return lambda **options: begin("Distributed", **options)


def make_another_sites(server, own, owner):
    server.create_file(HOST_IDENTITY, own.replace(owner.encode(), b"f" * 32))
    server.create_file("a", b"of another site")
    server.create_file("secret", b"of another site")


def asked(server):
    return [(one.method, one.path.rpartition("/")[2]) for one in server.requests]


READS = {
    "open": lambda storage: storage.open("a").read(),
    "exists": lambda storage: (storage.exists("a"), storage.exists("secret")),
    "size": lambda storage: storage.size("a"),
    "modified": lambda storage: type(storage.get_modified_time("a")).__name__,
    "listdir": lambda storage: storage.listdir(""),
}
RIGHT = {"open": b"a", "exists": (True, False), "size": 1, "modified": "datetime", "listdir": ([], ["a"])}


@pytest.mark.parametrize("action", READS)
def test_process_that_only_reads_looks_once_and_reads_nothing_of_another_site(site, servers, clock, action):
    storage = site()
    for server in servers:
        server.requests.clear()
    assert {repr(READS[action](storage)) for _ in range(20)} == {repr(RIGHT[action])}
    assert asked(servers[1]) in ([], [("GET", HOST_IDENTITY)])
    assert asked(servers[0]).count(("GET", HOST_IDENTITY)) == 1
    clock[0] += own_hosts.BELIEVED_FOR + 1
    for server in servers:
        server.requests.clear()
    assert {repr(READS[action](storage)) for _ in range(20)} == {repr(RIGHT[action])}
    assert asked(servers[1]) in ([], [("GET", HOST_IDENTITY)])
    assert ("GET", HOST_IDENTITY) not in asked(servers[0])  # the record still says so


def test_look_for_reading_tells_nobody(site, servers):
    before = [*Host.objects.order_by("host").values()], [dict(server.files) for server in servers]
    assert site().exists("secret") is False
    assert ([*Host.objects.order_by("host").values()], [dict(server.files) for server in servers]) == before


@pytest.mark.parametrize("action", READS)
def test_error_says_why_no_host_is_read(site, servers, action):
    storage = site(hosts=[servers[1].url])
    for _ in range(2):  # the first time it is looked at
        with pytest.raises(ReplicationError, match=r"belongs to something else: another site.*resto_adopt --host"):
            READS[action](storage)


def test_host_that_has_its_address_again_is_read(site, servers, clock):
    own = site(hosts=[servers[1].url])
    with pytest.raises(ReplicationError):
        own.size("a")
    known = Host.objects.get(host=servers[1].url)
    text = servers[1].files[HOST_IDENTITY].replace(b"f" * 32, known.mark.encode())
    servers[1].create_file(HOST_IDENTITY, text)
    clock[0] += own_hosts.BELIEVED_FOR + 1
    assert own.size("a") == len(b"of another site")


def test_host_that_is_another_one_of_the_site_is_not_read(begin, servers):
    save(begin("Distributed"), "a")
    servers[1].create_file(HOST_IDENTITY, servers[0].files[HOST_IDENTITY])
    with pytest.raises(ReplicationError, match="is another host of this site than it was"):
        begin("Distributed", hosts=[servers[1].url]).open("a").read()


@pytest.mark.parametrize("shown", [None, b"<!doctype html>"])
def test_host_that_does_not_tell_is_read_as_before(begin, servers, shown):
    for server in servers:
        server.create_file("a", b"1")
    save(begin("Distributed"), "b")
    Host.objects.exclude(host="").delete()
    servers[1].delete_file(HOST_IDENTITY)
    if shown is not None:
        servers[1].create_file(HOST_IDENTITY, shown)
    storage = begin("Distributed", hosts=[servers[1].url])
    servers[1].requests.clear()
    assert [storage.open("a").read() for _ in range(3)] == [b"1"] * 3
    assert asked(servers[1]).count(("GET", HOST_IDENTITY)) == 1


def test_hosts_that_the_settings_give_to_two_storages_are_read_by_both(begin, servers, settings):
    first = begin("Distributed")
    save(first, "a")
    settings.STORAGES = settings.STORAGES | {"second": settings.STORAGES["default"] | {"OPTIONS": TWIN}}
    second = storages["second"]
    recognition.owner_in_record(second)  # it has begun before
    assert [storage.open("a").read() for storage in (first, second)] == [b"a", b"a"]
    assert {one.kind for one in second.recognition.examine().values()} == {"taken"}
    assert second.open("a").read() == b"a"


def test_address_that_leads_to_another_storage_of_the_site_is_not_read(begin, servers, settings):
    """One of them may be private."""
    save(begin("Distributed", hosts=[servers[0].url]), "a")
    options = settings.STORAGES["default"]["OPTIONS"]
    second = {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options | {"hosts": [servers[1].url]}}
    settings.STORAGES = settings.STORAGES | {"second": second}
    save(storages["second"], "b")
    servers[1].create_file(HOST_IDENTITY, servers[0].files[HOST_IDENTITY])
    own_hosts.forget()
    recognition._verdicts.clear()
    with pytest.raises(ReplicationError, match="has the files of STORAGES"):
        storages["second"].open("b").read()


def test_site_that_has_not_begun_reads_without_a_look(begin, servers):
    servers[0].create_file("a", b"1")
    assert begin("Distributed").open("a").read() == b"1"
    assert not any(HOST_IDENTITY in path for server in servers for _, path in asked(server))


def test_host_that_is_down_is_no_obstacle(site, servers):
    servers[1].refuse = True
    assert {site().open("a").read() for _ in range(5)} == {b"a"}


def test_nothing_is_copied_from_another_site(site, servers, resto_server_factory):
    """A host that has missed a file gets it from the others: from one that is of this site, or not yet."""
    third = resto_server_factory()
    hosts = [servers[0].url, servers[1].url, third.url]
    site(hosts=hosts)
    opening.open_change("default", [third.url, servers[0].url], "a", present=True).release(0)
    Pending.objects.update(due=0, quiet_until=0)
    drain()
    assert b"of another site" not in {*third.files.values(), *servers[0].files.values()}


# URLs.


def hosts_of_urls(storage):
    return {storage.url(f"{number}.txt").rpartition("/")[0] + "/" for number in range(20)}


def test_url_does_not_lead_to_another_site(site, servers, clock):
    storage = site(url_from="hosts")
    assert len(hosts_of_urls(storage)) == 2  # nobody has looked
    storage.exists("a")
    assert hosts_of_urls(storage) == {servers[0].url}


@pytest.mark.parametrize("kind", ["Distributed", "Hybrid"])
def test_other_processes_lead_nobody_there_either(begin, servers, clock, kind):
    save(begin(kind), "a")
    owner = Host.objects.get(host=servers[1].url).mark
    make_another_sites(servers[1], servers[1].files[HOST_IDENTITY], owner)
    begin(kind).recognition.examine()  # as a drain does, in another process
    assert states() == {servers[0].url: "", servers[1].url: "gone"}
    storage = begin(kind, url_from="hosts")
    assert hosts_of_urls(storage) == {servers[0].url}
    text = servers[1].files[HOST_IDENTITY].replace(b"f" * 32, owner.encode())
    servers[1].create_file(HOST_IDENTITY, text)
    storage.recognition.examine()
    clock[0] += 2
    assert (states()[servers[1].url], len(hosts_of_urls(storage))) == ("", 2)

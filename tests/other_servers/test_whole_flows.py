"""What a site does with its files comes to the host, whatever kind of server that is."""

from datetime import UTC, datetime, timedelta

import pytest

from other_servers.site import save
from resto.repair.probe import probe_hosts
from resto.repair.restore import RestoreOptions, restore


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])

SMALL, LARGE = b"content", bytes(range(256)) * 8192
ODD = ["ä ö.txt", "a+b & c.txt", "100%.txt", "a%20b.txt", "x#y?z;.txt", "'quoted'.txt", "{a}[b].txt", "日本.txt"]


def test_what_is_saved_is_on_the_host(site):
    storage = site.hybrid()
    for name, content in [("empty.txt", b""), ("small.txt", SMALL), ("large.bin", LARGE), ("none", SMALL)]:
        save(storage, site.name(name), content)
    site.require_same(storage)


def test_what_is_saved_over_a_file_takes_its_place(site):
    storage = site.hybrid()
    name = site.name("a.txt")
    for content in (SMALL, b"other", b"", LARGE, SMALL):
        save(storage, name, content)
        assert site.content(storage, name) == content


def test_what_is_written_takes_the_place_of_a_file(site):
    storage = site.hybrid()
    name = site.name("a.txt")
    save(storage, name, SMALL)
    with storage.open(name, "wb") as file:
        file.write(b"written")
    assert site.content(storage, name) == b"written"
    with storage.open(name, "ab") as file:
        file.write(b" and more")
    assert site.content(storage, name) == b"written and more"


def test_what_is_deleted_is_gone_and_nothing_else(site):
    storage = site.hybrid()
    for name in ("a.txt", "b.txt"):
        save(storage, site.name(name), SMALL)
    storage.delete(site.name("a.txt"))
    assert site.content(storage, site.name("a.txt")) is None
    site.require_same(storage)


def test_odd_names_are_names(site):
    storage = site.hybrid()
    for name in ODD:
        save(storage, site.name(name), name.encode())
    site.require_same(storage)
    for name in ODD:
        storage.delete(site.name(name))
        assert site.content(storage, site.name(name)) is None


def test_drain_brings_what_an_outage_has_kept_away(site):
    storage = site.hybrid()
    for name in ("replaced.txt", "deleted.txt"):
        save(storage, site.name(name), SMALL)
    with site.outage():
        save(storage, site.name("new.txt"), LARGE)
        save(storage, site.name("replaced.txt"), b"")
        storage.delete(site.name("deleted.txt"))
    assert site.drain() == 3
    site.require_same(storage)


def test_comparison_repairs_what_differs_once(site):
    storage = site.hybrid()
    for number in range(5):
        save(storage, site.name(f"{number}.txt"), SMALL)
    transport = storage.transport_for(site.host)
    transport.delete(site.host, site.name("0.txt"))
    site.put(storage, {site.name("1.txt"): b"other", site.name("extra.txt"): SMALL})
    found = {site.name("0.txt"): "repaired", site.name("1.txt"): "repaired", site.name("extra.txt"): "repaired"}
    if not site.lists:
        del found[site.name("extra.txt")]
        transport.delete(site.host, site.name("extra.txt"))
    assert site.compare(storage, delete=True) == found
    site.require_same(storage)
    assert site.compare(storage, delete=True) == {}
    assert site.compare(storage, checksum=True) == {}


def test_lost_master_copy_comes_back(site):
    storage = site.hybrid()
    if not site.lists:
        pytest.skip("the host does not tell which files it has")
    for name in ("a.txt", "b/c.txt", "b/ä ö.txt", "empty.txt"):
        save(storage, name, name.encode() if name != "empty.txt" else b"")
    before = site.master()
    site.lose_master()
    found = []
    assert restore(storage, RestoreOptions(), found.append).is_complete
    assert {finding.kind for finding in found} == {"restored"}
    assert site.master() == before


def test_site_without_a_master_copy_reads_and_drains(site, resto_server_factory, case):
    other = resto_server_factory(webdav=case[1] == "webdav")
    storage = site.make_storage("Distributed", [site.host, other.url], timeout=20)
    name = site.name("a.txt")
    save(storage, name, SMALL)
    assert (storage.exists(name), storage.size(name)) == (True, len(SMALL))
    assert abs(datetime.now(UTC) - storage.get_modified_time(name)) < timedelta(minutes=15)
    with storage.open(name) as file:
        assert file.read() == SMALL
    if site.lists:
        assert storage.listdir(name.rpartition("/")[0]) == ([], ["a.txt"])
    with site.outage():
        storage.delete(name)
        save(storage, site.name("b.txt"), LARGE)
    site.drain()
    assert site.content(storage, name) is None
    assert site.content(storage, site.name("b.txt")) == LARGE


def test_probe_finds_nothing_wrong(site):
    site.hybrid()
    [found] = probe_hosts()
    problem = "" if site.has_directories else "A file cannot be written into a new directory"
    assert found.problem.startswith(problem)
    assert site.has_directories == (not found.problem)

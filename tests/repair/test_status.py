"""Who answers, and what is pending."""

import pytest
from django.core.files.base import ContentFile

from kit.hosts import lagging_storage
from resto import health
from resto.record import database, leases
from resto.repair import status as status_module
from resto.repair.status import host_statuses, storage_status
from resto.storage import DistributedStorage


pytestmark = pytest.mark.django_db


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def storage(settings, media_root, servers):
    return lagging_storage(settings, servers, other="django.core.files.storage.InMemoryStorage")


def test_all_is_fine(storage, servers):
    for status, server in zip(host_statuses(), servers, strict=True):
        assert 0 < status.seconds < 20
        assert status.as_dict() | {"seconds": None} == {
            "storage": "default", "host": server.url, "reachable": True, "problem": "",
            "breaker": "closed", "pending": 0, "has_more": False, "under_way": 0, "oldest": None, "due": None, "error": "",
            "identity_problem": "", "identity_remark": "", "left_out": False, "seconds": None, "compared": 0,
        }  # fmt: skip


def test_any_answer_is_one(storage, servers):
    servers[0].refuse_code = 500
    assert [status.reachable for status in host_statuses()] == [True, True]


def test_host_that_is_down_and_what_it_has_missed(storage, servers, monkeypatch):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    storage.save("b", ContentFile(b"1"))
    now = leases.clock()
    monkeypatch.setattr(leases, "clock", lambda: now + 100)
    first, second = host_statuses()
    assert (first.reachable, first.pending) == (True, 0)
    assert (second.reachable, second.problem, second.pending) == (False, "connection refused", 2)
    assert second.seconds is None
    assert 99 < second.oldest < 110
    assert -100 < second.due < -80
    assert "connection refused" in second.error


def test_breaker_does_not_keep_it_from_asking(storage, servers):
    servers[1].refuse = True
    for name in "abcd":
        storage.save(name, ContentFile(b"1"))
    assert health.state(storage.transport_for(servers[1].url).identify(servers[1].url)).state == "open"
    servers[1].refuse = False
    statuses = host_statuses()
    assert [status.reachable for status in statuses] == [True, True]
    assert [status.breaker for status in statuses] == ["closed", "open"]


def test_two_spellings_of_a_host_have_one_breaker(storage, servers):
    other = DistributedStorage([servers[0].url.replace("http", "HTTP")], "/media/")
    servers[0].refuse = True
    for _ in range(3):
        with pytest.raises(OSError, match="connection refused"):
            other.save("a", ContentFile(b"1"))
    assert [status.breaker for status in host_statuses(["default"])] == ["open", "closed"]


def test_choice_of_storages(storage):
    assert host_statuses(["other"]) == []
    assert len(host_statuses(["default"])) == 2


def test_choice_of_hosts(storage, servers):
    """The others are not even asked, and their backlog is not counted."""
    servers[0].refuse = True
    storage.save("a", ContentFile(b"1"))
    before = [len(server.requests) for server in servers]
    (status,) = host_statuses(hosts=[servers[0].url])
    assert (status.host, status.reachable, status.pending) == (servers[0].url, False, 1)
    assert len(servers[1].requests) == before[1]
    assert storage_status("default", [servers[1].url])[1] == []


def test_backlog_is_counted_once(storage, servers, monkeypatch):
    counted = []
    real = status_module.backlog_of
    monkeypatch.setattr(status_module, "backlog_of", lambda alias: counted.append(alias) or real(alias))
    storage_status("default")
    assert counted == ["default"]


def test_nothing_is_recorded(storage, monkeypatch):
    monkeypatch.setattr(database, "is_active", lambda: False)
    assert [(status.pending, status.under_way) for status in host_statuses()] == [(None, None)] * 2
    assert storage_status("default")[1] == []


def test_what_is_under_way_is_not_pending(storage, servers):
    storage.open_lease("a", ("media-9", servers[0].url), present=True)
    first, second = host_statuses()
    assert (first.pending, first.under_way, first.due) == (0, 1, None)
    assert (second.pending, second.under_way) == (0, 0)
    assert storage_status("default")[1] == []


def test_hosts_that_do_not_stand_in_the_settings(storage, settings, servers):
    for server in servers:
        server.refuse = True
    storage.save("a", ContentFile(b"1"))
    assert storage_status("default")[1] == []
    respelled = servers[0].url.replace("http", "HTTP")
    settings.RESTO_MEDIA_HOSTS = [respelled]
    assert {one.host: (one.spelling, one.backlog.count) for one in storage_status("default")[1]} == {
        servers[0].url: (respelled, 1),
        servers[1].url: (None, 1),
    }

"""What hosts say as of now. The page shows it."""

import threading

from resto.page import looks
from resto.page.now import now


def test_hosts_of_all_storages_are_asked_at_once(site, servers, settings):
    """Each of two storages has one that answers only when that of the other has been asked."""
    asked = [threading.Event(), threading.Event()]

    def wait(number):
        def on_request(method, path):
            asked[number].set()
            assert asked[1 - number].wait(20)

        return on_request

    options = {**settings.STORAGES["default"]["OPTIONS"], "base_url": "/media/"}
    settings.STORAGES = {
        f"number {number}": {
            "BACKEND": "resto.storage.DistributedStorage",
            "OPTIONS": {**options, "hosts": [server.url]},
        }
        for number, server in enumerate(servers)
    }
    for number, server in enumerate(servers):
        server.on_request = wait(number)
    found = looks.look()
    assert [(look.storage, look.problem, look.statuses[0].reachable) for look in found.looks] == [
        ("number 0", "", True), ("number 1", "", True),
    ]  # fmt: skip


def test_nobody_waits_for_long(site, servers, monkeypatch):
    monkeypatch.setattr(looks._all, "_seconds", 0.05)
    monkeypatch.setattr(looks._all, "_kept", 0.0)
    go_on = threading.Event()
    servers[0].on_request = lambda method, path: go_on.wait(20)
    unknown = looks.look()
    assert (unknown.looks, unknown.is_late) == ((), True)
    assert not now(unknown).is_known
    go_on.set()
    monkeypatch.setattr(looks._all, "_seconds", 20)
    looks._all.forget()
    known = looks.look()
    assert not known.is_late
    go_on.clear()
    monkeypatch.setattr(looks._all, "_seconds", 0.05)
    late = looks.look()
    assert (late.looks, late.is_late) == (known.looks, True)
    assert now(late).age
    go_on.set()


def test_hosts_are_not_asked_again_at_once(site, servers):
    looks.look()
    before = len(servers[0].log)
    looks.look()
    assert len(servers[0].log) == before

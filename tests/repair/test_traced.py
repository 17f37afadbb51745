"""Repairs leave a trace."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.models import Pending, Run
from resto.repair import traced
from resto.repair.restore import RestoreOptions
from resto.repair.sync import SyncOptions
from resto.repair.traced import TracedDrain, traced_probe, traced_restore, traced_sync


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def servers(resto_server_factory):
    return resto_server_factory(), resto_server_factory()


@pytest.fixture
def storage(settings, media_root, servers):
    options = {"hosts": [server.url for server in servers], "fatal_exceptions": False, "transport": "webdav"}
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    return storages["default"]


def miss(storage, server, *names):
    server.override_code = 507
    for name in names:
        storage.save(name, ContentFile(b"content"))
    server.override_code = None
    Pending.objects.update(due=0, quiet_until=0)


def runs():
    found = Run.objects.order_by("id")
    return [(run.kind, run.storage, run.code, json.loads(run.counts), json.loads(run.problems)) for run in found]


def test_a_drain_that_has_nothing_to_do_is_one_row(storage):
    for _ in range(3):
        with TracedDrain() as drain:
            assert not drain.drain()
    assert runs() == [("drain", "", 0, {}, [])]


def test_a_process_that_stays_makes_a_row_only_if_there_was_something_to_do(storage, servers):
    with TracedDrain(stays=True) as drain:
        assert not drain.drain()
    assert runs() == []
    miss(storage, servers[0], "a", "b", "c")
    with TracedDrain(["default"], stays=True) as drain:
        while drain.drain(limit=1):
            pass
    assert runs() == [("drain", "default", 0, {"sent": 3}, [])]
    run = Run.objects.get()
    assert (run.done, run.total, run.is_total_final) == (3, 3, True)


def test_a_drain_that_fails_says_so(storage, servers):
    miss(storage, servers[0], "a")
    servers[0].override_code = 507
    with TracedDrain() as drain:
        assert drain.drain()
    assert runs() == [("drain", "", 1, {"failed": 1}, [])]


@pytest.mark.parametrize(("limit", "expected"), [(None, []), (1, [("drain", "", 130, {}, ["Interrupted."])])])
def test_a_drain_that_is_interrupted_says_so_if_it_had_begun(storage, servers, limit, expected):
    miss(storage, servers[0], "a", "b")
    drain = TracedDrain()

    def interrupt():
        with drain:
            if limit:
                drain.drain(limit=limit)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert runs() == expected


def test_refused_directory_is_a_problem(storage, monkeypatch):
    def refuse(total, **options):
        total.refused = (("default", "It is not mounted."),)

    monkeypatch.setattr(traced, "drain_into", refuse)
    with TracedDrain(stays=True) as drain:
        drain.drain()
    assert runs() == []  # else there would be a row each second
    with TracedDrain() as drain:
        drain.drain()
    assert runs() == [("drain", "", 1, {}, ["It is not mounted."])]


def test_comparison(storage, servers):
    miss(storage, servers[0], "a", "b")
    seen = []
    report = traced_sync("default", storage, SyncOptions(), lambda event: None, seen.append)
    assert report.agrees
    assert runs() == [("sync", "default", 0, {"compared": 4, "missing": 2, "sent": 2}, [])]
    assert seen[-1].done == Run.objects.get().done == 2


def test_comparison_that_fails_names_the_first_files(storage, servers):
    miss(storage, servers[0], *(f"file-{number:02}" for number in range(12)))
    servers[0].override_code = 507
    servers[0].fault_methods = {"PUT", "MOVE"}
    traced_sync("default", storage, SyncOptions(), lambda event: None)
    [(_, _, code, counts, problems)] = runs()
    assert (code, counts["failed"]) == (1, 12)
    assert len(problems) == 10
    assert all(problem.startswith(f"{servers[0].url}: file-") for problem in problems)


def test_what_was_asked_for_beyond_the_usual(storage, servers):
    options = SyncOptions(hosts=frozenset([servers[1].url]), prefix="d", checksum=True)
    traced_sync("default", storage, options, lambda event: None)
    run = Run.objects.get()
    assert json.loads(run.hosts) == [servers[1].url]
    assert json.loads(run.options) == {"prefix": "d", "checksum": True}


def test_probe(storage, servers):
    traced_probe(["default"])
    servers[0].override_code = 403
    traced_probe()
    first, (_, aliases, code, counts, [problem]) = runs()
    assert first == ("probe", "default", 0, {"fine": 2, "failed": 0}, [])
    assert (aliases, code, counts) == ("", 1, {"fine": 1, "failed": 1})
    assert problem.startswith(f"default: {servers[0].url}: A file cannot be written")


def test_restore(storage, servers, media_root):
    storage.save("a", ContentFile(b"content"))
    (media_root / "a").unlink()
    report = traced_restore("default", storage, RestoreOptions(), lambda finding: None)
    assert report.counts["restored"] == 1
    [(kind, _, code, counts, _)] = runs()
    assert (kind, code, counts["restored"]) == ("restore", 0, 1)

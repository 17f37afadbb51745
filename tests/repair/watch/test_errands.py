"""What was asked for is done."""

import json
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from resto.exceptions import ConfigurationError
from resto.master import sweep
from resto.models import Pending, Run
from resto.record import leases
from resto.record.traces import Trace
from resto.record.turns import Turn
from resto.record.wishes import ask
from resto.repair.watch import alone
from resto.repair.watch.errands import Errands


pytestmark = pytest.mark.django_db

KINDS = ("drain", "sync", "probe")


@pytest.fixture
def servers(resto_server_factory):
    return resto_server_factory(), resto_server_factory()


@pytest.fixture(autouse=True)
def storage(settings, media_root, servers, identities_apply):
    settings.STORAGES = {
        alias: {
            "BACKEND": "resto.storage.HybridStorage",
            "OPTIONS": {
                "hosts": [server.url],
                "transport": "webdav",
                "fatal_exceptions": False,
                "location": str(media_root / alias),
            },
        }
        for alias, server in zip(("default", "other"), servers, strict=True)
    }
    for alias in ("default", "other"):
        storages[alias].save("first", ContentFile(b"content"))
    return storages["default"]


def do(*what, errands=None):
    """Ask for something, and let it be done if it is claimed; return what the record says of it."""
    kind, storage, hosts, options = [*what, {}][:4]
    number = ask(kind, storage, hosts, "alice", options)
    errands = errands or Errands()
    run = errands.claim(KINDS)
    if run is not None:
        assert run.id == number
        errands.do(run, lambda: None)
    return Run.objects.get(id=number)


def miss(storage, server, name):
    server.refuse_code = 507
    storage.save(name, ContentFile(b"content"))
    server.refuse_code = None


def test_drain_that_was_asked_for_does_not_wait_until_it_is_time(storage, servers):
    miss(storage, servers[0], "a")
    miss(storages["other"], servers[1], "b")
    Pending.objects.update(due=leases.clock() + 1_000, quiet_until=0)
    run = do("drain", "", [servers[0].url])
    assert (run.code, json.loads(run.counts)) == (0, {"sent": 1})
    assert "a" in servers[0].files
    assert "b" not in servers[1].files
    assert do("drain", "", []).code == 0
    assert "b" in servers[1].files


@pytest.mark.parametrize(("kind", "alias"), [("drain", "default"), ("sync", "default"), ("sync", "")])
def test_what_is_stopped_is_begun_again_but_not_for_ever(storage, servers, kind, alias):
    def stop():
        raise KeyboardInterrupt

    number = ask(kind, alias, [], "alice")
    for times in (1, 2, 3):
        miss(storage, servers[0], f"missed-{times}")
        Pending.objects.update(quiet_until=0)
        errands = Errands()
        with pytest.raises(KeyboardInterrupt):
            errands.do(errands.claim(KINDS), stop)
        run = Run.objects.get(id=number)
        assert (run.begun, run.started is None) == (times, times < 3)
    assert (run.code, json.loads(run.problems)) == (130, ["Interrupted."])
    assert errands.claim(KINDS) is None


def test_what_is_begun_gives_signs_of_life(monkeypatch):
    """Also if nothing is due, or of several storages: else it would be begun again in the middle of it."""
    begun = []
    real = Trace.begin

    def begin(self):
        real(self)
        begun.append(self._number)

    monkeypatch.setattr(Trace, "begin", begin)
    for kind in ("drain", "sync", "probe"):
        run = do(kind, "", [])
        assert run.id in begun


def test_comparison_sends_and_removes_nothing(media_root, servers):
    (media_root / "default" / "a").write_bytes(b"1")
    servers[0].create_file("b", b"1")
    run = do(
        "sync",
        "default",
        [],
    )
    assert (run.code, json.loads(run.counts)["sent"]) == (1, 1)
    assert {"a", "b"} <= set(servers[0].files)


def test_comparison_deletes_nothing_even_if_asked_to(media_root, servers):
    servers[0].create_file("b", b"1")
    assert do("sync", "default", [], {"delete": True, "force": True, "max_delete": 100}).code == 1
    assert "b" in servers[0].files


@pytest.mark.parametrize(("options", "sent"), [({}, ["a", "d/b"]), ({"prefix": "d"}, ["d/b"])])
def test_comparison_of_a_directory(media_root, servers, options, sent):
    (media_root / "default" / "d").mkdir()
    for name in ("a", "d/b"):
        (media_root / "default" / name).write_bytes(b"1")
    do("sync", "default", [], options)
    assert [name for name in ("a", "d/b") if name in servers[0].files] == sent


def test_comparison_sweeps_the_master_copy(media_root, monkeypatch):
    left = media_root / "default" / "d" / ".resto-0123456789abcdef"
    left.parent.mkdir()
    left.write_bytes(b"half")
    monkeypatch.setattr(sweep, "ABANDONED_AFTER", -60)
    assert do("sync", "default", []).code == 0
    assert not left.exists()


def test_comparison_of_contents(media_root, servers):
    servers[0].create_file("first", b"CONTENT")
    assert do("sync", "default", []).code == 0
    assert servers[0].files["first"] == b"CONTENT"
    do("sync", "default", [], {"checksum": True})
    assert servers[0].files["first"] == b"content"


def test_comparison_of_all_storages(media_root, servers):
    for alias in ("default", "other"):
        (media_root / alias / "a").write_bytes(b"1")
    assert do("sync", "", []).code == 0
    assert all("a" in server.files for server in servers)
    assert {run.storage for run in Run.objects.filter(code=0)} == {"", "default", "other"}
    (media_root / "other" / "b").write_bytes(b"1")
    assert do("sync", "", [servers[1].url]).code == 0
    assert "b" in servers[1].files


@pytest.mark.parametrize(
    ("hosts", "options", "problem"),
    [
        (["http://gone/"], {}, "there is no host http://gone/ here"),
        ([], {"prefix": "../x"}, "'..'"),
        ([], {"prefix": "x" * 302}, "302 bytes long"),
    ],
)
def test_what_cannot_be_done_ends_and_says_why(hosts, options, problem):
    with pytest.raises(ConfigurationError):
        do("sync", "default", hosts, options)
    run = Run.objects.get()
    assert run.code == 1
    assert problem in json.loads(run.problems)[0]


def test_host_that_has_left_its_storage(servers):
    with pytest.raises(ConfigurationError, match="there is no host"):
        do("sync", "default", [servers[1].url])
    assert Run.objects.get().code == 1


def test_probe(servers):
    assert do("probe", "default", []).code == 0
    servers[0].refuse_code = 507
    run = do("probe", "", [])
    assert (run.code, json.loads(run.counts)) == (1, {"fine": 1, "failed": 1})


def test_what_this_process_does_not_do_is_left_to_others(media_root):
    assert do("restore", "default", []).started is None
    Run.objects.all().delete()
    assert do("sync", "elsewhere", []).started is None
    Run.objects.all().delete()
    assert do("sync", "other", [], errands=Errands(["default"])).started is None
    assert do("sync", "", [], errands=Errands(["default"])).started is None
    Run.objects.all().delete()
    (media_root / "other" / ".resto.master").unlink()
    assert do("sync", "other", []).started is None
    assert do("sync", "", []).started is None


def test_one_kind_only():
    ask("sync", "default", [], "alice")
    number = ask("probe", "default", [], "alice")
    errands = Errands()
    assert errands.claim(["drain"]) is None
    assert errands.claim(["probe", "drain"]).id == number


def add(storage, *, seen=None, **values):
    """Somebody compares."""
    now = time.time()
    values = {"asked": now, "started": now, "seen": seen or now, **values}
    return Run.objects.create(kind="sync", storage=storage, **values)


@pytest.mark.parametrize(
    ("compared", "wish"), [("default", "default"), ("default,other", "other"), ("", "default"), ("other", "")]
)
def test_a_comparison_waits_for_another_one_of_its_storage(compared, wish):
    run = add(compared, options='{"prefix": "a"}')
    number = ask("sync", wish, [], "alice")
    errands = Errands()
    assert errands.claim(KINDS) is None
    for kind in ("drain", "probe"):
        other = ask(kind, wish, [], "alice")
        assert errands.claim(KINDS).id == other
    Run.objects.filter(id=run.id).update(ended=run.seen, code=0)
    assert errands.claim(KINDS).id == number


def test_a_comparison_waits_for_none_of_another_storage_nor_for_one_that_has_died():
    add("other")
    add("default", seen=1.0)
    number = ask("sync", "default", [], "alice")
    assert Errands().claim(KINDS).id == number


def test_a_comparison_waits_while_the_master_copy_is_restored():
    number = ask("sync", "default", [], "alice")
    with Turn("default", "restore"):
        assert Errands().claim(KINDS) is None
    assert Errands().claim(KINDS).id == number


def test_of_two_that_look_at_the_same_time_one_begins(monkeypatch):
    """There are two wishes for one storage; the other process begins one between the look and the turn."""
    first, second = (ask("sync", "default", [], "alice", options) for options in ({}, {"checksum": True}))
    real, others = alone.Turn, []

    def turn(*args):
        if not others:
            others.append(None)
            others.append(Errands().claim(KINDS))
        return real(*args)

    monkeypatch.setattr(alone, "Turn", turn)
    assert Errands().claim(KINDS) is None
    assert others[1].id == first
    Run.objects.filter(id=first).update(ended=1.0, code=0)
    assert Errands().claim(KINDS).id == second


def test_comparison_of_a_directory_that_nobody_has_says_so(media_root, servers):
    (media_root / "default" / "photos").mkdir()
    run = do("sync", "default", [], {"prefix": "photoz"})
    assert (run.code, json.loads(run.problems)) == (
        1,
        ["there is no directory 'photoz', neither here nor on a host. Did you mean 'photos'?"],
    )
    run = do("sync", "default", [], {"prefix": "first"})
    assert (run.code, json.loads(run.problems)[0]) == (1, "'first' is a file, and no directory")
    assert do("sync", "default", [], {"prefix": "photos"}).code == 0
    servers[0].create_file("lone/a", b"1")
    assert json.loads(do("sync", "default", [], {"prefix": "lone"}).problems) == []

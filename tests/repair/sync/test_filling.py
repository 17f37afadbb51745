"""A host that has lost its files is filled from the others, where there is no master copy; and one that is right is named."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.comparison import compare, found
from kit.hosts import try_hosts
from kit.record import files
from resto import health
from resto.exceptions import ReplicationError
from resto.models import Host, Pending
from resto.names import HOST_IDENTITY
from resto.record import identities, leases, opening
from resto.record.identities import BEING_MADE, GONE, MARGIN, NEW
from resto.record.left_out import count_again
from resto.repair.drain import drain
from resto.repair.sync import Disagreement, Notice


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("identities_apply")]

FILES = {"a": b"1", "d/b": b"22", "d/e/c": b"333"}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(leases, "clock", lambda: clock[0])
    monkeypatch.setattr(leases, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(3)]


@pytest.fixture
def make(settings, servers):
    def make(**options):
        options = {"hosts": [server.url for server in servers], "transport": "webdav"} | options
        settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    return make(write_quorum=1)


@pytest.fixture
def wiped(storage, servers, clock):
    """The first host has lost all its files, and everybody knows."""
    storage.recognition.examine(begins=True)
    for server in servers:
        for name, content in FILES.items():
            server.create_file(name, content)
    wipe(storage, servers[0])
    clock[0] += 2 * MARGIN
    return servers[0]


def wipe(storage, server):
    for name in [*server.files]:
        server.delete_file(name)
    adopt(storage, server)


def adopt(storage, server):
    storage.recognition.adopt(server.url, NEW)


def known_states():
    return {host: one.state for host, one in identities.find_all("default").items() if host != identities.MASTER}


def state_of(server):
    return identities.find_all("default")[server.url].state


def test_host_is_filled_and_counts_again(wiped, storage, servers, clock):
    report, events = compare(storage)
    assert found(events) == [("missing", name, "repaired") for name in sorted(FILES)]
    assert files(servers) == [FILES] * 3
    assert [host.fill for host in report.hosts] == ["filled", "", ""]
    assert report.agrees
    assert (state_of(wiped), Pending.objects.count()) == ("", 0)
    report, events = compare(storage)
    assert (report.agrees, events, report.hosts[0].fill) == (True, [], "")


def test_nothing_is_done_in_a_dry_run(wiped, storage, servers):
    report, events = compare(storage, dry_run=True)
    assert found(events) == [("missing", name, "found") for name in sorted(FILES)]
    assert files(servers) == [{}, FILES, FILES]
    assert (report.hosts[0].fill, report.agrees, state_of(wiped)) == ("filling", False, NEW)


@pytest.mark.parametrize("options", [{"prefix": "d"}, {"hosts": ["0", "1"]}])
def test_part_of_a_host_does_not_let_it_count(wiped, storage, servers, options):
    if "hosts" in options:
        options = {"hosts": frozenset(server.url for server in servers[:2])}
    report, _ = compare(storage, **options)
    assert wiped.files["d/b"] == b"22"
    assert (report.hosts[0].fill, report.agrees, state_of(wiped)) == ("filling", False, NEW)
    assert compare(storage)[0].hosts[0].fill == "filled"


def test_host_that_fails_is_filled_by_another_run(wiped, storage, servers, clock):
    wiped.fault_methods, wiped.refuse_code = {"PUT"}, 500
    report, events = compare(storage)
    assert found(events) == [("missing", name, "failed") for name in sorted(FILES)]
    assert (report.hosts[0].fill, report.agrees, state_of(wiped)) == ("filling", False, NEW)
    wiped.heal()
    clock[0] += 400
    report, _ = compare(storage)
    assert (files(servers), report.agrees, state_of(wiped)) == ([FILES] * 3, True, "")


def test_drain_goes_on_with_what_was_interrupted(wiped, storage, servers, clock):
    opening.open_fills("default", "a", [wiped.url])
    clock[0] += 301
    drain()
    assert files(servers)[0] == {"a": b"1"}
    assert Pending.objects.count() == 0


def test_name_that_is_changed_meanwhile_is_left_alone_and_the_host_left_out(wiped, storage, servers, clock):
    lease = opening.open_change("default", storage.hosts, "a", present=False)
    report, events = compare(storage)
    assert found(events)[:1] == [("missing", "a", "failed")] or ("missing", "a", "failed") in found(events)
    assert (report.hosts[0].fill, "a" in wiped.files) == ("filling", False)
    lease.forget()
    clock[0] += 100
    assert compare(storage)[0].hosts[0].fill == "filled"
    assert files(servers) == [FILES] * 3


def test_changes_that_are_under_way_do_not_keep_a_host_from_counting(wiped, storage, servers, clock):
    lease = opening.open_change("default", storage.hosts, "new", present=True)
    assert compare(storage)[0].hosts[0].fill == "filled"
    lease.forget()


def test_what_is_pending_keeps_a_host_from_counting_that_has_all_files(wiped, storage, servers, clock):
    lease = opening.open_change("default", [wiped.url], "new", present=False)
    Pending.objects.update(attempts=1)  # it rests, as a request may still arrive
    report, _ = compare(storage)
    assert files(servers) == [FILES] * 3
    assert (report.hosts[0].fill, report.agrees, state_of(wiped)) == ("pending", False, NEW)
    lease.release(0)
    drain()
    assert compare(storage)[0].hosts[0].fill == "filled"


def test_host_that_nothing_is_known_of_and_that_is_empty_is_new(storage, servers):
    for server in servers[1:]:
        server.create_file("a", b"1")
    report, _ = compare(storage, dry_run=True)
    assert (report.hosts[0].fill, known_states()) == ("", {})
    report, _ = compare(storage)
    assert (report.hosts[0].fill, files(servers)) == ("filled", [{"a": b"1"}] * 3)


def test_empty_host_that_is_known_is_not_filled(storage, servers):
    storage.recognition.examine(begins=True)
    servers[1].create_file("a", b"1")
    report, events = compare(storage)
    assert [type(event) for event in events] == [Disagreement]
    assert (report.agrees, files(servers)[0]) == (False, {})


def test_new_site_has_no_hosts_that_are_left_out(storage, servers):
    assert compare(storage)[0].agrees
    assert known_states() == dict.fromkeys(storage.hosts, "")
    assert storage.left_out() == frozenset()


def test_if_all_hosts_are_new_all_count(storage, servers, clock):
    for server in servers:
        adopt(storage, server)
    clock[0] += 2 * MARGIN
    assert storage.left_out() == frozenset()
    storage.save("a", ContentFile(b"1"))
    assert storage.exists("a")


def test_file_that_only_the_new_host_has_stays_unless_it_is_to_be_deleted(wiped, storage, servers):
    wiped.create_file("old", b"x")
    assert storage.exists("old") is False
    report, events = compare(storage)
    assert ("extra", "old", "kept") in found(events)
    assert (report.hosts[0].fill, files(servers)[0]) == ("filling", FILES | {"old": b"x"})
    report, events = compare(storage, delete=True)
    assert ("extra", "old", "kept") in found(events)
    assert "more than 10 %: none is, unless forced" in report.hosts[0].problems[0]
    report, events = compare(storage, delete=True, max_delete=50)
    assert ("extra", "old", "repaired") in found(events)
    assert (report.hosts[0].fill, files(servers)) == ("filled", [FILES] * 3)


@pytest.mark.parametrize("checksum", [False, True])
def test_other_content_is_replaced_if_it_is_looked_at(wiped, storage, servers, checksum):
    wiped.create_file("a", b"x")
    report, events = compare(storage, checksum=checksum)
    assert (("different", "a", "repaired") in found(events)) is checksum
    assert wiped.files["a"] == (b"1" if checksum else b"x")
    assert report.disagreements == 0


def test_more_directories_than_may_be_made_up_are_filled(wiped, storage, servers, monkeypatch):
    monkeypatch.setattr("resto.repair.sync.walk.MAX_LONE", 1)
    monkeypatch.setattr("resto.repair.sync.walk.LONE_SHARE", 0)
    names = {f"x{number}/a": b"1" for number in range(4)}
    for server in servers[1:]:
        for name, content in names.items():
            server.create_file(name, content)
    assert compare(storage)[0].hosts[0].fill == "filled"
    assert files(servers) == [FILES | names] * 3


# What is saved, deleted and read meanwhile.


def test_wiped_host_is_written_to_and_not_read(wiped, storage, servers):
    storage.save("n", ContentFile(b"1"))
    assert [server.files.get("n") for server in servers] == [b"1"] * 3
    try_hosts(storage)
    wiped.log.clear()
    assert storage.open("a").read() == b"1"
    assert (storage.size("a"), storage.exists("a")) == (1, True)
    assert sorted(storage.listdir("")[1]) == ["a", "n"]
    storage.delete("a")
    assert storage.exists("a") is False
    assert {entry[0] for entry in wiped.log} == {"DELETE"}


@pytest.mark.parametrize(
    ("quorum", "down", "stored"),
    [
        (1, [1, 2], False),
        (1, [2], True),
        ("all", [0], True),
        ("all", [1], False),
        (2, [2], False),
        ("majority", [], True),
        (3, [], True),
    ],
)
def test_wiped_host_does_not_count_for_the_quorum(wiped, make, servers, clock, quorum, down, stored):
    storage = make(write_quorum=quorum)
    for number in down:
        servers[number].fault_methods, servers[number].refuse_code = {"PUT"}, 500
    if stored:
        assert storage.save("n", ContentFile(b"1")) == "n"
    else:
        with pytest.raises(ReplicationError, match="the save was undone"):
            storage.save("n", ContentFile(b"1"))
    for server in servers:
        server.heal()
    health.forget()
    for _ in range(3):
        clock[0] += 400
        drain()
    assert [server.files.get("n") for server in servers] == [b"1" if stored else None] * 3
    assert Pending.objects.count() == 0


def test_what_only_the_wiped_host_has_got_before_it_was_known_is_copied_from_it(storage, servers, clock):
    for server in servers[1:]:
        server.fault_methods, server.refuse_code = {"PUT"}, 500
    storage.save("n", ContentFile(b"1"))
    for server in servers[1:]:
        server.heal()
    health.forget()
    adopt(storage, servers[0])
    for _ in range(2):
        clock[0] += 400
        assert storage.open("n").read() == b"1"
        drain()
    assert [server.files.get("n") for server in servers] == [b"1"] * 3


# The host that is right is named.


@pytest.fixture
def differing(storage, servers):
    for name, contents in {"same": "111", "sizes": "12 ", "some": " 1 ", "other": "1 3"}.items():
        for server, content in zip(servers, contents, strict=True):
            if content.strip():
                server.create_file(name, content.encode() * int(content))
    return storage


def test_named_host_decides_what_the_others_have(differing, servers):
    report, events = compare(differing, source=servers[0].url)
    assert found(events) == [
        ("different", "other", "repaired"),
        ("different", "sizes", "repaired"),
        ("extra", "some", "kept"),
        ("missing", "other", "repaired"),
        ("missing", "sizes", "repaired"),
    ]
    right = {"same": b"1", "sizes": b"1", "other": b"1"}
    assert files(servers) == [right, right | {"some": b"1"}, right]
    assert (report.disagreements, report.agrees, Pending.objects.count()) == (0, False, 0)
    report, events = compare(differing, source=servers[0].url, delete=True, max_delete=50)
    assert found(events) == [("extra", "some", "repaired")]
    assert (files(servers), report.agrees) == ([right] * 3, True)


def test_nothing_is_done_about_the_named_host_in_a_dry_run(differing, servers):
    before = files(servers)
    compare(differing, source=servers[0].url, dry_run=True, delete=True)
    assert (files(servers), Pending.objects.count()) == (before, 0)


def test_name_that_something_is_pending_for_is_left_alone(differing, servers, clock):
    lease = opening.open_change("default", [servers[0].url], "sizes", present=True)
    report, events = compare(differing, source=servers[1].url)
    assert "sizes" in {event.name for event in events if getattr(event, "state", "") == "failed"}
    assert servers[0].files["sizes"] == b"1"
    assert not report.agrees
    lease.forget()


def test_wiped_host_is_filled_from_the_named_one(differing, servers, clock):
    wipe(differing, servers[0])
    clock[0] += 2 * MARGIN
    report, _ = compare(differing, source=servers[2].url, delete=True, force=True)
    assert files(servers) == [{"same": b"1", "other": b"333"}] * 3
    assert (report.agrees, report.hosts[0].fill) == (True, "filled")


def test_decision_that_was_interrupted_is_gone_on_with(differing, servers, clock):
    opening.open_fills("default", "sizes", [server.url for server in servers[1:]])
    clock[0] += 400
    drain()
    assert [server.files["sizes"] for server in servers] == [b"1"] * 3
    assert Pending.objects.count() == 0


def test_identities_are_no_files(wiped, storage, servers):
    before = [server.files[HOST_IDENTITY] for server in servers]
    for checksum in (False, True):
        report, events = compare(storage, checksum=checksum, delete=True, force=True)
        assert report.agrees
        assert [server.files[HOST_IDENTITY] for server in servers] == before
        assert not any(isinstance(event, Notice) for event in events)


# A host that is left out, and what it says of itself.


def test_host_that_was_to_get_its_identity_when_all_stopped_is_filled(storage, servers):
    servers[1].create_file("a", b"1")
    storage.recognition.examine(begins=True)
    Host.objects.filter(host=servers[0].url).update(state=BEING_MADE)
    servers[0].delete_file(HOST_IDENTITY)
    report, _ = compare(storage)
    assert (report.hosts[0].fill, files(servers)) == ("filled", [{"a": b"1"}] * 3)


def test_host_that_has_an_identity_and_is_not_known_is_filled(storage, servers):
    """Another storage has given it that, or the record has lost it."""
    storage.recognition.examine(begins=True)
    Host.objects.filter(host=servers[0].url).delete()
    for server in servers[1:]:
        server.create_file("a", b"1")
    report, _ = compare(storage)
    assert (report.hosts[0].fill, files(servers)) == ("filled", [{"a": b"1"}] * 3)


def test_looks_change_nothing_about_a_host_that_is_left_out(wiped, storage, servers, clock):
    before = identities.find_all("default")[wiped.url]
    for _ in range(2):
        clock[0] += 100
        storage.recognition.examine(begins=True)
    after = identities.find_all("default")[wiped.url]
    assert (after.state, after.identity, after.marks) == (NEW, before.identity, before.marks)


def test_host_that_is_gone_before_it_is_filled_stays_left_out(wiped, storage, servers, clock):
    """Its disk was not mounted for a while."""
    begun, identity = identities.find_all("default")[wiped.url].marks, wiped.files[HOST_IDENTITY]
    wiped.delete_file(HOST_IDENTITY)
    report, _ = compare(storage)
    assert (report.agrees, report.hosts[0].fill, state_of(wiped)) == (False, "filling", GONE)
    assert storage.left_out() == {wiped.url}
    assert not count_again("default", wiped.url)
    wiped.create_file(HOST_IDENTITY, identity)
    storage.recognition.examine()
    assert (state_of(wiped), identities.find_all("default")[wiped.url].marks) == (NEW, begun)
    assert compare(storage)[0].hosts[0].fill == "filled"
    assert storage.left_out() == frozenset()


def test_host_that_has_been_filled_and_is_gone_is_left_out_once_it_is_adopted(wiped, storage, servers, clock):
    compare(storage)
    wiped.delete_file(HOST_IDENTITY)
    storage.recognition.examine()
    assert (state_of(wiped), storage.left_out()) == (GONE, frozenset())
    wipe(storage, wiped)
    assert storage.left_out() == {wiped.url}


@pytest.mark.parametrize("is_known", [False, True], ids=["nobody has noticed", "it is known to be new"])
def test_file_whose_upload_nobody_knows_of_is_not_removed_on_account_of_a_lost_host(storage, servers, clock, is_known):
    """Two hosts have not answered; one of them has got the file, and the one that has answered loses its disk."""
    storage.recognition.examine(begins=True)
    lease = storage.open_lease("a", tuple(storage.hosts), present=True)
    servers[1].create_file("a", b"1")
    Pending.objects.filter(host=servers[0].url).delete()
    lease.release(0)
    Pending.objects.update(due=0, quiet_until=0)
    servers[0].delete_file(HOST_IDENTITY)
    if is_known:
        adopt(storage, servers[0])
    clock[0] += 2 * MARGIN
    for _ in range(2):
        drain()
        compare(storage, delete=True, force=True)
        Pending.objects.update(due=0, quiet_until=0)
    assert files(servers) == [{}, {"a": b"1"}, {}]
    if not is_known:
        adopt(storage, servers[0])
    compare(storage, source=servers[1].url)
    assert files(servers)[1:] == [{"a": b"1"}] * 2

"""From which host a file is taken, and what is left in doubt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.record import files
from kit.restored import ALL, files_below, state
from resto.models import Pending
from resto.record import identities, leases
from resto.record.rows import Row
from resto.repair.drain import drain
from resto.repair.restore import RestoreOptions
from resto.repair.restore.choice import Missing, Wanted, choose


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])


def row(number, host, *, present=True, quiet_until=0.0):
    return Row(number, "default", host, "a", present, "", quiet_until, 0, "", "", "", 0.0, 0.0)


SIZES = st.dictionaries(st.sampled_from("123"), st.sampled_from([None, 1, 2]))
ROWS = st.lists(st.tuples(st.sampled_from("123"), st.booleans()), max_size=3)


@given(sizes=SIZES, rows=ROWS, source=st.sampled_from([None, *"123"]), from_any=st.booleans())
def test_nothing_is_taken_from_a_host_that_lags_or_against_another_one_unless_somebody_says_so(
    sizes, rows, source, from_any
):
    pending = [row(number, host, present=present) for number, (host, present) in enumerate(rows)]
    chosen = choose(Missing("a", sizes), pending, "123", RestoreOptions(source=source, from_any=from_any))
    if not isinstance(chosen, Wanted):
        return
    assert sizes[chosen.host] is not None
    behind = {host for host, _ in rows}
    if chosen.host == source:
        assert source not in behind or all(present for _, present in rows)
        return
    others = {size for host, size in sizes.items() if host not in behind}
    assert chosen.host not in behind
    assert others <= {sizes[chosen.host], *([None] if from_any else [])}


def test_nothing_is_taken_where_somebody_is_at_it():
    options, now = RestoreOptions(source="1"), leases.clock()
    under_way = [row(1, "1", quiet_until=now + 100)]
    assert choose(Missing("a", {"1": 1}), under_way, "1", options).kind == "lost"
    assert isinstance(choose(Missing("a", {"1": 1}), [row(1, "1")], "1", options), Wanted)


def test_hosts_that_disagree_are_told_and_one_of_them_decides(lost, run, servers, hosts, media_root):
    servers[1].create_file("a", b"longer")
    assert not run(lost).is_complete
    assert (run.kinds["a"], run.findings["a"].sizes) == ("different", dict(zip(hosts, [1, 6], strict=True)))
    assert (state(), (media_root / "a").exists()) == ("restoring", False)
    assert run(lost, source=hosts[1]).is_complete
    assert files_below(media_root) == ALL | {"a": b"longer"}
    assert files(servers) == [ALL | {"a": b"longer"}] * 2


@pytest.mark.parametrize("by", ["host", "any"])
def test_file_that_some_hosts_lack_is_told_and_brought_if_wanted(lost, run, servers, hosts, by):
    servers[1].delete_file("a")
    assert not run(lost).is_complete
    assert run.kinds["a"] == "partial"
    assert run(lost, source=hosts[0]).is_complete if by == "host" else run(lost, from_any=True).is_complete
    assert run.kinds == {"a": "restored"}
    assert files(servers) == [ALL] * 2


def test_host_that_lags_is_not_asked(lost, run, servers, hosts, media_root):
    servers[0].create_file("a", b"older")
    servers[0].delete_file("d/b")
    for name in ("a", "d/b"):
        lost.open_lease(name, hosts[:1], present=True).release(0)
    assert run(lost).is_complete
    assert files_below(media_root) == ALL
    drain()
    assert files(servers) == [ALL] * 2


def test_what_no_host_is_known_to_have_is_lost(lost, run, hosts):
    lost.open_lease("never", hosts, present=True).release(0)
    lost.open_lease("deleted", hosts, present=False).release(0)
    assert run(lost).is_complete  # there is nothing that could be decided
    assert run.kinds == dict.fromkeys(ALL, "restored") | {"never": "lost"}


def test_older_version_of_what_is_lost_is_brought_if_wanted(lost, run, servers, hosts, media_root):
    lost.open_lease("a", hosts, present=True).release(0)
    assert not run(lost).is_complete
    assert run.kinds["a"] == "lost"
    assert (run.findings["a"].is_in_doubt, state()) == (True, "restoring")
    assert run(lost, source=hosts[0]).is_complete
    assert files_below(media_root) == ALL
    drain()
    assert files(servers) == [ALL] * 2


def test_host_that_is_down_leaves_all_in_doubt(lost, run, servers, hosts, media_root):
    servers[1].refuse = True
    assert not run(lost).is_complete
    assert files_below(media_root) == ALL
    assert state() == "restoring"
    servers[1].heal()
    assert {row.host for row in Pending.objects.all()} == {hosts[1]}


def test_host_that_is_not_proven_is_not_asked(lost, run, hosts, servers):
    identities.put("default", hosts[0], "1" * 32, state="swapped")
    servers[0].create_file("a", b"of somebody else")
    assert not run(lost).is_complete
    assert {finding.host for finding in run.findings.values()} == {hosts[1]}
    [problem] = run.report.hosts[0].problems
    assert "is another host of this site than it was" in problem


def test_hosts_without_listings_say_so(make, lost, run, hosts):
    storage = make(transport="http")
    storage.open_lease("a", hosts[:1], present=True).release(0)
    assert not run(storage).is_complete
    assert run.kinds == {"a": "restored"}  # from whichever host has it, by what is recorded
    assert "no host lists its directories" in run.report.problems[0]


def test_nothing_is_taken_from_a_host_that_is_another_one(lost, run, servers, hosts):
    servers[0].create_file(".resto.host", b"id 1\nowner 2\n")
    assert not run(lost, source=hosts[0]).is_complete
    [first, second] = run.report.hosts
    assert "belongs to something else" in first.problems[0]
    assert second.problems == []
    assert set(run.kinds.values()) == {"restored"}

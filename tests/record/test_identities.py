"""What is known of hosts and master copies."""

import json
from itertools import count

import pytest

from resto.models import Host
from resto.record import identities
from resto.record.identities import MASTER


pytestmark = pytest.mark.django_db


def known(storage="default", host=MASTER):
    [found] = identities.find([storage], host)
    return found


def test_what_is_known_first_stays(clock):
    assert identities.add("default", MASTER, "one", "mark")
    assert not identities.add("default", MASTER, "other", "mark")
    assert (known().identity, known().mark, known().marks, known().looked) == (
        "one",
        "mark",
        {"mark": clock[0]},
        clock[0],
    )


def test_storages_and_hosts_are_told_apart():
    for storage in ("default", "later"):
        for host in (MASTER, "media-1"):
            identities.add(storage, host, f"{storage} {host}")
    assert [one.identity for one in identities.find(["later", "default", "none"], "media-1")] == [
        "later media-1",
        "default media-1",
    ]
    assert {host: one.identity for host, one in identities.find_all("later").items()} == {
        MASTER: "later ",
        "media-1": "later media-1",
    }


def test_identity_that_is_being_made_is_confirmed_once():
    identities.add("default", MASTER, "")
    for identity in ("one", "other"):
        identities.confirm(["default"], identity, "mark")
    assert (known().identity, known().mark, [*known().marks]) == ("one", "mark", ["mark"])


def test_what_is_put_replaces_all():
    for number in range(2):
        identities.put("default", MASTER, f"id {number}", "mark", state="restoring" if number else "")
        identities.note(known(), places={"d": "a link"})
    identities.put("default", MASTER, "id 2", "mark 2")
    assert (known().identity, known().mark, [*known().marks]) == ("id 2", "mark 2", ["mark 2"])
    assert (known().places, known().state) == ({}, "")


def test_first_who_changes_the_mark_decides():
    identities.add("default", MASTER, "id", "old")
    before = known()
    assert [identities.change_mark(before, following) for following in ("new", "newer")] == ["new", "new"]
    assert (known().mark, known().next_mark) == ("old", "new")
    for _ in range(2):
        identities.finish_mark(before, "new")
    assert (known().mark, known().next_mark, [*known().marks]) == ("new", "", ["old", "new"])
    assert identities.change_mark(before, "late") == ""


def test_a_hundred_marks_are_kept():
    identities.add("default", MASTER, "id", "0")
    for number in range(1, 130):
        before = known()
        identities.change_mark(before, str(number))
        identities.finish_mark(before, str(number))
    assert [*known().marks] == [str(number) for number in range(30, 130)]


def test_nothing_is_noted_of_another_directory():
    identities.add("default", MASTER, "id", "mark")
    before = known()
    identities.put("default", MASTER, "other", "mark")
    identities.note(before, places={"d": "a link"}, state="lost")
    assert (known().places, known().state) == ({}, "")
    identities.note(known(), places={"d": "a link"}, state="lost")
    assert (known().places, known().state) == ({"d": "a link"}, "lost")


def test_what_two_remember_at_the_same_time_is_remembered():
    identities.add("default", MASTER, "id", "mark")
    before = known()
    pending = [{"b": "a link"}, {"c": "another file system"}]

    def remember(places):
        if pending:  # somebody else is faster, twice
            others = pending.pop()
            identities.change_places(known(), lambda theirs: {**theirs, **others})
        return {**places, "a": "a link"}

    found = identities.change_places(before, remember, state="restoring")
    assert found == {"a": "a link", "b": "a link", "c": "another file system"} == known().places
    assert known().state == "restoring"


@pytest.mark.parametrize("gone", [True, False])
def test_what_cannot_be_remembered_is_not_known_to_be(gone):
    identities.add("default", MASTER, "id", "mark")
    before = known()
    if gone:
        identities.put("default", MASTER, "other", "mark")

    numbers = count()

    def remember(places):  # others are always faster
        Host.objects.update(places=json.dumps({str(next(numbers)): "a link"}))
        return {"a": "a link"}

    assert identities.change_places(before, remember) == {}
    assert "a" not in known().places


def test_what_is_forgotten_is_not_known():
    identities.add("default", "media-1", "id")
    identities.forget("default", "media-1")
    assert identities.find(["default"], "media-1") == []


def test_row_says_what_it_is_about():
    assert [str(Host(storage="default", host=host)) for host in (MASTER, "media-1")] == [
        "the master copy of default",
        "media-1",
    ]


def test_what_a_host_has_shown_last_is_kept(clock):
    identities.add("default", "media-1", "one")
    assert known(host="media-1").directories == {}
    for tried in (5, 7, 6):
        identities.note_trial("default", "media-1", {"tried": tried})
    assert known(host="media-1").directories == {"tried": 7}
    for tried in (clock[0] + 100, 8):
        identities.note_trial("default", "media-1", {"tried": tried})
    assert known(host="media-1").directories == {"tried": 8}
    identities.put("default", "media-1", "another")  # and so another server
    assert known(host="media-1").directories == {}


def test_what_a_host_has_shown_is_not_kept_before_it_is_known_which_one_it_is():
    identities.note_trial("default", "media-1", {"tried": 5})
    assert identities.find(["default"], "media-1") == []

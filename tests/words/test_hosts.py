"""What people are told of hosts. The command and the page say it of real ones."""

import pytest

from resto.record.backlog import Backlog
from resto.repair.status import HostStatus, MasterStatus, Stranger
from resto.words.hosts import lines_of_identity, sentence_of_host, sentence_of_master, sentence_of_stranger


HOST = "http://media-1/"


def status(**values):
    nothing = {"pending": 0, "has_more": False, "under_way": 0, "oldest": None, "due": None, "error": ""}
    usual = {"reachable": True, "problem": "", "breaker": "closed", **nothing}
    return HostStatus("default", HOST, **{**usual, **values})


LAGGING = {"pending": 3, "oldest": 7200.0, "due": 5.0}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "answers; nothing is pending."),
        ({"under_way": 2}, "answers; nothing is pending; 2 under way."),
        ({"pending": None}, "answers; nothing is recorded."),
        ({"breaker": "open"}, "answers; its breaker is open; nothing is pending."),
        ({"reachable": False, "problem": "no route"}, "does not answer: no route; nothing is pending."),
        (LAGGING, "answers; 3 pending, the oldest for 2 hours, the next is due in 5 seconds."),
        (
            {**LAGGING, "compared": 3},
            "answers; 3 pending (found by a comparison), the oldest for 2 hours, the next is due in 5 seconds.",
        ),
        (
            {**LAGGING, "compared": 2},
            "answers; 3 pending (2 of them found by a comparison), the oldest for 2 hours, the next is due in 5 seconds.",
        ),
        (
            {**LAGGING, "pending": 10_000, "has_more": True, "error": "No."},
            "answers; more than 10 000 pending, the oldest for 2 hours, the next is due in 5 seconds (last error: No).",
        ),
    ],
)
def test_host(values, sentence):
    assert sentence_of_host(status(**values)) == f"default: {HOST} {sentence}"


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, []),
        ({"identity_problem": "It is another.", "left_out": True}, ["It is another."]),
        (
            {"identity_remark": "it is down", "left_out": True},
            [
                "It is not known whether this is the host that it was: it is down.",
                "It is left out until it is filled: run manage.py resto_sync.",
            ],
        ),
        ({"identity_remark": "is it?"}, ["It is not known whether this is the host that it was: is it?"]),
    ],
)
def test_identity(values, lines):
    assert lines_of_identity(status(**values)) == lines


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        ("", "/srv/media is the master copy, as was seen 2 minutes ago."),
        ("it is gone.", "nothing is written, sent or removed: it is gone."),
    ],
)
def test_master(problem, sentence):
    assert sentence_of_master(MasterStatus("default", "/srv/media", problem, 120)) == f"default: {sentence}"


@pytest.mark.parametrize(
    ("spelling", "sentence"),
    [
        (None, "is not a host of this storage; 2 pending, the oldest for 2 minutes, forgotten after a week."),
        ("HTTP://a/", "is HTTP://a/ in the settings; 2 pending, the oldest for 2 minutes, which a drain sends there."),
    ],
)
def test_stranger(spelling, sentence):
    backlog = Backlog(2, has_more=False, under_way=0, oldest=120, due=1, error="")
    assert sentence_of_stranger("default", Stranger("http://a/", spelling, backlog)) == f"default: http://a/ {sentence}"

"""Runs in a line each."""

import pytest

from resto.page.run_lines import line_of
from resto.record.runs import RunRow


def run(**values):
    usual = {
        "id": 1, "kind": "drain", "storage": "", "hosts": (), "options": {}, "asked_by": "", "asked": 1.0, "started": 2.0,
        "seen": 90.0, "ended": None, "machine": "web-1", "process": 7, "life": "", "begun": 0, "done": 0, "total": None, "is_total_final": False,
        "sent_bytes": 0, "total_bytes": None, "code": None, "counts": {}, "problems": (), "report": {}, "now": 100.0,
    }  # fmt: skip
    return RunRow(**{**usual, **values})


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "drain of all storages"),
        ({"storage": "a,b"}, "drain of a, b"),
        ({"storage": "a", "hosts": ("http://1/", "http://2/")}, "drain of a, http://1/, http://2/"),
        ({"kind": "sync", "storage": "a", "options": {"prefix": "x\n"}}, "sync of a, below x\\n"),
    ],
)
def test_what(values, what):
    assert line_of(run(**values)).what == what


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"done": 3, "total": 5}, (3, 5)),
        ({"done": 3}, (3, None)),
        ({"done": 7, "total": 5}, (7, 7)),  # it learns of more as it goes
        ({"done": 0, "total": 0}, (0, 1)),  # a bar has a length
    ],
)
def test_bar(values, told):
    line = line_of(run(**values))
    assert (line.done, line.total) == told


@pytest.mark.parametrize(
    ("values", "under_way", "wrong"),
    [
        ({}, True, False),
        ({"ended": 95.0, "code": 0}, False, False),
        ({"ended": 95.0, "code": 1}, False, True),
        ({"seen": -1000.0}, False, True),
        ({"started": None, "seen": None}, False, False),
    ],
)
@pytest.mark.django_db
def test_state(values, under_way, wrong):
    line = line_of(run(**values))
    assert (line.is_under_way, line.is_wrong) == (under_way, wrong)

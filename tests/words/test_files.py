"""What commands say of single files."""

from datetime import UTC, datetime

import pytest

from resto.record.chosen import PendingFile
from resto.repair.names import Copy, FileStatus
from resto.words.files import lines_of_file, record_of_file, record_of_pending, sentence_of_pending


WAITS = PendingFile("default", "http://one/", "a", is_under_way=False, age=180, due=20, attempts=2, error="refused.")
LATE = PendingFile("default", "http://one/", "a", is_under_way=False, age=180, due=-20, attempts=0, error="")
UNDER_WAY = PendingFile("default", "http://one/", "a", is_under_way=True, age=3, due=297, attempts=0, error="")


def test_pending_file():
    assert sentence_of_pending(WAITS) == (
        "default: a on http://one/: pending for 3 minutes, due in 20 seconds (last error: refused)."
    )
    assert sentence_of_pending(LATE) == "default: a on http://one/: pending for 3 minutes, due for 20 seconds."
    assert record_of_pending(WAITS) == {
        "storage": "default", "host": "http://one/", "name": "a", "age": 180, "due": 20, "attempts": 2, "error": "refused.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("copy", "text"),
    [
        (Copy("http://one/", size=1), "1 byte; nothing is pending"),
        (Copy("http://one/", size=12_345), "12,345 bytes; nothing is pending"),
        (Copy("http://one/"), "no file; nothing is pending"),
        (Copy("http://one/", problem="no answer"), "not known, no answer; nothing is pending"),
        (Copy("http://one/", pending=(UNDER_WAY,)), "no file; under way for 3 seconds"),
        (Copy("http://one/", pending=(UNDER_WAY, LATE)), "no file; pending for 3 minutes, due for 20 seconds"),
        (
            Copy("http://one/", is_known=False, pending=(LATE,)),
            "not a host of this storage; pending for 3 minutes, due for 20 seconds",
        ),
    ],
)
def test_host(copy, text):
    status = FileStatus("default", "a", None, (copy,), is_recorded=True)
    assert lines_of_file(status) == ["default: a", f"  http://one/: {text}."]


def test_time_is_that_of_the_site(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    master = Copy("", size=0, modified=datetime(2026, 7, 1, 12, tzinfo=UTC))
    status = FileStatus("default", "a", master, (), is_recorded=False)
    assert lines_of_file(status)[1] == "  master copy: 0 bytes, of 2026-07-01 14:00:00 CEST."
    assert record_of_file(status)["master"] == {"size": 0, "modified": "2026-07-01T12:00:00+00:00", "problem": ""}


def test_nothing_is_recorded():
    status = FileStatus("default", "a", None, (Copy("http://one/"),), is_recorded=False)
    assert lines_of_file(status)[1] == "  http://one/: no file; nothing is recorded."
    assert record_of_file(status)["hosts"][0]["pending"] is None

"""How commands say how long something has been so."""

import pytest

from resto.words.durations import due_in, duration, seconds_in


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 seconds"), (119, "119 seconds"), (180, "3 minutes"), (7_200, "2 hours"), (864_000, "10 days")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (40.4, "the next is due in 40 seconds"),
        (-3.2, "the next has been due for 3 seconds"),
        (-7_200, "the next has been due for 2 hours: does a drain run?"),
    ],
)
def test_what_is_due(seconds, text):
    assert due_in(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5_400),
        ("24h", 86_400),
        ("7d", 604_800),
        ("60s", 60),
        ("", None),
        ("1w", None),
        ("-1h", None),
        ("1.5h", None),
    ],
)
def test_seconds_in_what_people_write(text, seconds):
    assert seconds_in(text) == seconds

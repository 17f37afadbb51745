"""When comparisons are due."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.repair.watch.schedule import DAY, Schedule


ZONE = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def _zone(settings):
    settings.TIME_ZONE = ZONE.key


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def shown(seconds):
    return datetime.fromtimestamp(seconds, ZONE).strftime("%Y-%m-%d %H:%M")


def test_without_a_time_of_the_day():
    assert Schedule(3_600).due(None, 1_000.0) == 1_000
    assert Schedule(3_600).due(2_000.0, 9_000.0) == 5_600


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        ("2026-01-10 03:40", "2026-01-11 03:00"),  # it took 40 minutes
        ("2026-01-10 03:00", "2026-01-11 03:00"),
        ("2026-01-10 14:00", "2026-01-11 03:00"),  # somebody has compared by hand
        ("2026-01-11 02:50", "2026-01-12 03:00"),  # it took nearly a day, and is not begun anew at once
        ("2026-03-28 03:40", "2026-03-29 03:00"),  # summer time begins
        ("2026-10-24 03:40", "2026-10-25 03:00"),  # and ends
    ],
)
def test_each_night(ended, due):
    assert shown(Schedule(DAY, time(3)).due(moment(ended), 0.0)) == due


@pytest.mark.parametrize(
    ("since", "due"),
    [("2026-01-10 02:00", "2026-01-10 03:00"), ("2026-01-10 04:00", "2026-01-11 03:00")],
)
def test_the_first_one_waits_for_its_time(since, due):
    assert shown(Schedule(7 * DAY, time(3)).due(None, moment(since))) == due


def test_a_time_that_a_day_lacks_is_an_hour_later():
    assert shown(Schedule(DAY, time(2, 30)).due(moment("2026-03-28 02:40"), 0.0)) == "2026-03-29 03:30"


@given(
    ended=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(datetime.timestamp),
    days=st.integers(1, 60),
    at=st.times().map(lambda found: found.replace(second=0, microsecond=0)),
)
def test_it_is_always_later_and_near_to_the_time_that_was_asked_for(ended, days, at):
    due = Schedule(days * DAY, at).due(ended, 0.0)
    assert ended < due
    assert abs(due - (ended + days * DAY)) <= timedelta(hours=12.5).total_seconds()
    found = datetime.fromtimestamp(due, ZONE)
    nearest = min(abs((found - datetime.combine(found.date(), at, ZONE)).total_seconds()) for _ in "1")
    assert nearest <= 3_600

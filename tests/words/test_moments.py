"""How people are told when something was."""

from datetime import UTC, datetime

from django.utils import timezone

from resto.words.moments import moment, moment_of


def test_moment_in_the_time_zone_of_the_site():
    with timezone.override("Asia/Tokyo"):
        assert moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 12:04:05 JST"
        assert moment_of(0) == "1970-01-01 09:00:00 JST"


def test_no_moment():
    assert moment_of(None) == ""

"""What is pending for each host."""

import pytest

from kit.record import REFUSED, open_lease, outcome
from resto.record import backlog


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def test_backlog_of_a_storage(clock):
    assert backlog.backlog_of("default") == {}
    open_lease("a", ["media-1"]).settle([outcome("media-1", REFUSED)])
    clock[0] += 10
    open_lease("b", ["media-1", "media-2"])
    open_lease("c", ["media-3"], storage="other")
    assert backlog.backlog_of("default") == {
        "media-1": backlog.Backlog(2, oldest=10, due=-9, error="refused"),
        "media-2": backlog.Backlog(1, oldest=0, due=300, error=""),
    }

"""Rows in the ORM, and what is under way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.record import open_lease
from resto.models import Pending
from resto.record import database, queries
from resto.record.rests import longest_rest


NOW = 1_000_000.0
AHEAD = st.sampled_from([-1.0, 0.0, 1.0, 1e12]) | st.floats(-1e6, 1e6)


@pytest.mark.django_db
@given(ahead=AHEAD, error=st.sampled_from(["", "refused"]))
def test_database_and_python_agree_on_what_is_under_way(ahead, error):
    Pending.objects.all().delete()
    open_lease("a", ["media-1"])
    Pending.objects.update(quiet_until=NOW + ahead, error=error)
    [row] = Pending.objects.all()
    expected = not error and row.quiet_until - NOW > 0 and row.quiet_until <= NOW + longest_rest()
    assert queries.is_under_way(row, NOW) is expected
    with database.connected() as connection:
        assert queries.rows_in(connection).filter(queries.under_way(NOW)).exists() is expected

"""What the lists of the record have in common. Those of names and runs show more."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from resto.models import Host, Pending, Run
from resto.page import record_admin
from resto.page.record_admin import CappedPaginator


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(record_admin, "MOST", 3)


@pytest.mark.parametrize(("number", "count", "has_more"), [(2, 2, False), (3, 3, False), (5, 3, True)])
def test_no_more_are_counted(few, number, count, has_more):
    Run.objects.bulk_create(Run(kind="drain", asked=1) for _ in range(number))
    paginator = CappedPaginator(Run.objects.order_by("-pk"), 2)
    with CaptureQueriesContext(connection) as queries:
        assert (paginator.count, paginator.has_more) == (count, has_more)
    (query,) = queries
    assert "LIMIT 4" in query["sql"]


def test_pages_beyond_are_not_to_be_had(few, operator):
    Run.objects.bulk_create(Run(kind="drain", asked=1) for _ in range(300))
    assert "3 runs" in operator.get("/admin/resto/run/").text


@pytest.mark.parametrize("model", [Host, Pending, Run])
def test_record_may_be_in_a_database_of_its_own(model, rf, settings):
    settings.RESTO_DATABASE = "record"
    assert admin.site.get_model_admin(model).get_queryset(rf.get("/")).db == "record"

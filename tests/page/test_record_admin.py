"""What the lists of the record have in common. Those of names and runs show more."""

import html

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kit.brokers import database_as
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


PAGES = ["run/", "run/?state=done", "run/1/change/", "run/1/history/", "run/1/delete/"]
PAGES += ["pending/", "pending/?q=a&for=600", "host/"]


@pytest.fixture(params=["tables", "file", "settings"])
def without_record(request, settings, tmp_path, django_db_blocker):
    """The record has a database of its own, which has no tables, or cannot be opened, or the settings name none."""
    settings.RESTO_DATABASE = "record"
    if request.param == "settings":
        yield "RESTO_DATABASE names the database 'record', which DATABASES does not have"
        return
    path = tmp_path / "empty.sqlite3" if request.param == "tables" else tmp_path / "no" / "record.sqlite3"
    setting = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    with django_db_blocker.unblock(), database_as("record", setting):
        yield "manage.py migrate resto --database record" if request.param == "tables" else "unable to open database"


@pytest.mark.parametrize("page", PAGES)
def test_record_that_cannot_be_read(operator, without_record, page):
    """Also where it is another database than that of the admin."""
    answer = operator.get(f"/admin/resto/{page}", follow=True)
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    assert "The record cannot be read: " in text
    assert without_record in text


def test_action_on_a_record_that_cannot_be_read(operator, without_record):
    answer = operator.post("/admin/resto/pending/", {"action": "make_due", "_selected_action": ["1"]})
    assert without_record in html.unescape(answer.text)


def test_why_it_cannot_be_read_is_told_to_those_who_may_view_it(client, user_with, without_record):
    client.force_login(user_with("view_host"))
    assert client.get("/admin/resto/run/").status_code == 403


@pytest.mark.parametrize("model", [Host, Pending, Run])
def test_record_may_be_in_a_database_of_its_own(model, rf, settings):
    settings.RESTO_DATABASE = "record"
    assert admin.site.get_model_admin(model).get_queryset(rf.get("/")).db == "record"

"""The list of pending names."""

import re
import time

import pytest
from django.contrib.messages import get_messages

from resto.models import Pending
from resto.page import record_admin
from resto.record import rows


PAGE = "/admin/resto/pending/"


def add(name, host="http://media-1/", storage="default", *, age=0.0, **values):
    now = time.time()
    times = {"created": now - age, "due": now + 3600, "quiet_until": 0.0}
    key = rows.digest_of(storage, name)
    return Pending.objects.create(
        storage=storage, host=host, name=name, present=True, owner="x", key=key, **{**times, **values}
    )


def names(answer):
    assert answer.status_code == 200
    return re.findall(r'/admin/resto/host/file/\?[^"]+">([^<]+)<', answer.text)


@pytest.fixture
def many(operator):
    add("photos/b.txt", age=100_000, error="No room.")
    add("photos/a.txt", age=8_000, attempts=3, error="connection refused")
    add("a.txt", "http://media-2/")
    add("b_txt", storage="other", age=700_000)
    return operator


def test_host_by_host_and_the_oldest_first(many):
    assert names(many.get(PAGE)) == ["photos/b.txt", "photos/a.txt", "a.txt", "b_txt"]


def test_what_a_line_says(many):
    add("held", "http://media-3/", quiet_until=time.time() + 50)
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", many.get(PAGE).text))
    assert "photos/a.txt default http://media-1/ 2 hours due in 60 minutes 3 connection refused" in text
    assert re.search(r"held default http://media-3/ \d seconds? under way 0", text)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"of": "default http://media-1/"}, ["photos/b.txt", "photos/a.txt"]),
        ({"of": "other "}, ["b_txt"]),
        ({"for": "600"}, ["photos/b.txt", "photos/a.txt", "b_txt"]),
        ({"for": "172800"}, ["b_txt"]),
        ({"for": "9" * 400}, ["photos/b.txt", "photos/a.txt", "a.txt", "b_txt"]),
        ({"for": "long"}, ["photos/b.txt", "photos/a.txt", "a.txt", "b_txt"]),
        ({"error": "any"}, ["photos/b.txt", "photos/a.txt"]),
        ({"error": "none"}, ["a.txt", "b_txt"]),
        ({"error": "=No room."}, ["photos/b.txt"]),
        ({"error": "what"}, ["photos/b.txt", "photos/a.txt", "a.txt", "b_txt"]),
        ({"q": "a.txt"}, ["photos/a.txt", "a.txt"]),
        ({"q": "^a.txt"}, ["a.txt"]),
        ({"q": "b_t"}, ["b_txt"]),
        ({"q": "a.txt", "of": "default http://media-2/"}, ["a.txt"]),
    ],
)
def test_filters_and_search(many, query, found):
    assert names(many.get(PAGE, query)) == found


def test_filters_offer_what_there_is(many):
    text = many.get(PAGE).text
    for label in ("other, all hosts", "default, http://media-2/", "more than 2 days", "No room.", "connection refused"):
        assert label in text


def test_rows_that_are_not_counted(many, monkeypatch):
    assert 'id="resto-more"' not in many.get(PAGE).text
    monkeypatch.setattr(record_admin, "MOST", 3)
    answer = many.get(PAGE)
    assert "There are more than 3, which are not counted." in answer.text


def test_nothing_is_pending(operator):
    text = operator.get(PAGE).text
    assert "0 pending names" in text
    assert "<h1>Pending names</h1>" in text


def test_names_that_mislead_are_escaped(operator):
    add("a\u202etxt.exe")
    assert names(operator.get(PAGE)) == ["a\\u202etxt.exe"]


def post(client, *chosen, **values):
    return client.post(PAGE, {"action": "make_due", "_selected_action": [row.pk for row in chosen], **values})


def told(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_all_that_was_chosen_is_made_due(operator):
    assert told(post(operator, add("a"), add("b"))) == ["2 names made due: the next drain sends that."]


def test_chosen_names_are_made_due(operator):
    first, second, held = add("a"), add("b"), add("c", quiet_until=time.time() + 3600)
    answer = post(operator, first, held)
    assert told(answer) == [
        "1 name made due: the next drain sends that. Not of 1 other: due already, or a request may still arrive."
    ]
    due = {row.name: row.due <= time.time() for row in Pending.objects.all()}
    assert due == {first.name: True, second.name: False, held.name: False}


def test_only_those_who_may_change_names_make_them_due(client, user_with):
    row = add("a")
    client.force_login(user_with("view_pending"))
    assert "make_due" not in client.get(PAGE).text
    post(client, row)
    assert Pending.objects.get().due == row.due
    client.force_login(user_with("view_pending", "change_pending"))
    post(client, row)
    assert Pending.objects.get().due < row.due


def test_who_may_see_it(client, user_with):
    client.force_login(user_with("view_host"))
    assert client.get(PAGE).status_code == 403


@pytest.mark.parametrize("page", ["add/", "1/change/", "1/delete/"])
def test_rows_are_not_changed_by_hand(operator, page):
    add("a")
    assert operator.get(PAGE + page).status_code == 404

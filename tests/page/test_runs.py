"""The list of runs, and what came of one."""

import re
import time

import pytest

from resto.models import Run
from resto.record.wishes import waiting as waiting_wishes


PAGE = "/admin/resto/run/"


def add(kind="drain", *, ended=True, **values):
    now = time.time()
    times = {"asked": now - 10, "started": now - 10, "seen": now, "ended": now if ended else None}
    usual = {"storage": "default", "machine": "web-1", "process": 7, "code": 0 if ended else None}
    return Run.objects.create(kind=kind, **{**usual, **times, **values})


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text))


def test_list(operator):
    add(counts='{"sent": 3}')
    add("sync", ended=False, done=5, total=10, is_total_final=True, asked_by="bob")
    text = text_of(operator.get(PAGE))
    assert re.search(r"sync of default under way under way, 5 names of 10 \d seconds? bob web-1, process 7", text)
    assert re.search(r"drain of default done 3 sent \d seconds? - web-1, process 7", text)
    assert text.index("sync of default") < text.index("drain of default")  # the newest first


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"of": "sync"}, {"sync"}),
        ({"state": "asked"}, {"probe"}),
        ({"state": "begun"}, {"watch"}),
        ({"state": "done"}, {"drain"}),
        ({"state": "failed"}, {"sync"}),
        ({"state": "withdrawn"}, {"restore"}),
        ({"state": "what"}, {"sync", "probe", "watch", "drain", "restore"}),
    ],
)
def test_filters(operator, query, kinds):
    add()
    add("sync", code=1)
    add("probe", ended=False, started=None, seen=None)
    add("watch", ended=False)
    add("restore", started=None, seen=None, code=None)
    assert set(re.findall(r"(\w+) of default", operator.get(PAGE, query).text)) == kinds


def test_what_came_of_a_run(operator):
    run = add(
        "sync", code=1, options='{"prefix": "photos"}', counts='{"compared": 1200}',
        problems='["media-1: <no>.", "No\\u202e."]', report='{"swept": 4}', asked_by="bob",
    )  # fmt: skip
    answer = operator.get(f"{PAGE}{run.pk}/change/")
    text = text_of(answer)
    assert "sync of default, below photos" in text
    assert "compared: 1,200" in text
    assert "media-1: &lt;no&gt;." in text
    assert "No\\u202e." in text
    assert "&quot;swept&quot;: 4" in text
    assert re.search(r"Asked for: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+", text)
    assert 'name="_save"' not in answer.text


def test_run_that_has_not_begun(operator):
    run = add(ended=False, started=None, seen=None, machine="", process=None)
    assert "nobody has begun so far" in text_of(operator.get(f"{PAGE}{run.pk}/change/"))


def test_who_may_see_it(client, user_with):
    run = add()
    client.force_login(user_with("add_run", "change_run"))
    assert client.get(PAGE).status_code == 200
    client.force_login(user_with("view_run"))
    assert client.get(f"{PAGE}{run.pk}/change/").status_code == 200
    client.force_login(user_with("view_host"))
    assert client.get(PAGE).status_code == 403


@pytest.mark.parametrize("page", ["add/", "{}/delete/"])
def test_runs_are_not_changed_by_hand(operator, page):
    run = add()
    assert operator.post(PAGE + page.format(run.pk), {"post": "yes"}).status_code == 403
    operator.post(f"{PAGE}{run.pk}/change/", {"kind": "sync"})
    assert Run.objects.get().kind == "drain"


def waiting():
    return add("probe", ended=False, started=None, seen=None, machine="", process=None, asked_by="bob")


def next_wish():
    return next(iter(waiting_wishes(["probe"])), None)


def withdraw(client, *runs):
    chosen = {"action": "withdraw", "_selected_action": [run.pk for run in runs]}
    return client.post(PAGE, chosen, follow=True)


def test_what_waits_can_be_withdrawn(operator):
    runs = [waiting(), add("sync", ended=False), add()]
    text = text_of(withdraw(operator, *runs))
    assert "1 run withdrawn. Not 2 others: somebody has begun, or it is over." in text
    assert "probe of default withdrawn withdrawn by ann" in text
    assert next_wish() is None


def test_who_may_withdraw(client, user_with):
    run = waiting()
    client.force_login(user_with("view_run"))
    withdraw(client, run)
    assert next_wish().id == run.pk
    client.force_login(user_with("view_run", "add_run"))
    assert "1 run withdrawn." in text_of(withdraw(client, run))
    assert next_wish() is None


def test_nobody_withdraws_without_a_token(operator):
    run = waiting()
    operator.handler.enforce_csrf_checks = True
    assert withdraw(operator, run).status_code == 403
    operator.get(PAGE, {"action": "withdraw", "_selected_action": run.pk})
    assert next_wish().id == run.pk

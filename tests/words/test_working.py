"""What is said of who drains and compares."""

import re
import time

import pytest
from django.db.models import Q

from kit.lives import ended_life
from resto.models import Run
from resto.record.runs import find
from resto.repair.work import work_on
from resto.words.working import outcome_of, record_of_work, sentences_of_trouble, sentences_of_work


pytestmark = pytest.mark.django_db(transaction=True)


def add(kind, *, ago, ended=True, **values):
    now = time.time()
    times = {"asked": now - ago, "started": now - ago, "seen": now - ago, "ended": now - ago if ended else None}
    code = {"code": 0} if ended else {}
    Run.objects.create(kind=kind, machine="web-1", process=7, **{**times, **code, **values})


def told(*, is_lagging=False):
    return list(sentences_of_work(work_on("default"), is_lagging=is_lagging))


def test_new_site():
    assert told() == []


def test_nobody_drains():
    assert told(is_lagging=True) == ["nobody has drained so far: run manage.py resto_drain --watch."]


def test_somebody_stays():
    add("watch", ago=5, ended=False)
    assert told(is_lagging=True) == ["process 7 of web-1 stays and drains; its last sign of life is 5 seconds old."]


def test_somebody_has_died():
    add("watch", ago=7200, ended=False)
    assert told(is_lagging=True) == [
        "process 7 of web-1, which stayed and drained, has given no sign of life for 2 hours, and nobody has drained since: "
        "run manage.py resto_drain --watch."
    ]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "last drained 2 hours ago: nothing was due."),
        ({"counts": '{"sent": 1200, "removed": 1}'}, "last drained 2 hours ago: 1,200 sent, 1 removed."),
        ({"code": 1, "counts": '{"failed": 1}', "problems": '["No."]'}, "last drained 2 hours ago: 1 failed, No."),
        ({"ended": None, "code": None}, "last drained 2 hours ago: it was broken off."),
    ],
)
def test_drains(values, sentence):
    add("drain", ago=7200, **values)
    assert told(is_lagging=True) == [sentence]


def test_drain_under_way():
    add("drain", ago=3, ended=False, done=1_000, total=5_000)
    assert told() == ["last drained 3 seconds ago: under way, 1,000 names of 5,000 so far."]


def test_comparisons():
    add("sync", ago=7200, code=1, counts='{"compared": 4, "missing": 1, "failed": 1}')
    assert told() == [
        "last compared 2 hours ago: 4 files compared, 1 failed, not everything agrees; nothing is known of one after which "
        "everything agreed."
    ]
    add("sync", ago=3600, counts='{"compared": 4}')
    assert told() == ["last compared 60 minutes ago: 4 files compared."]
    add("sync", ago=120, code=1, counts='{"disagreements": 2}')
    assert told() == [
        "last compared 2 minutes ago: 0 files compared, 2 in which hosts differ from each other, not everything agrees; the last "
        "after which everything agreed was 60 minutes ago."
    ]


def test_comparison_that_was_interrupted():
    add("sync", ago=120, code=130, done=2_848, problems='["Interrupted."]')
    assert told() == [
        "last compared 2 minutes ago: ended after 2,848 names, Interrupted; nothing is known of one after which everything agreed."
    ]


def test_comparison_that_goes_on_after_one_that_was_broken_off():
    add("sync", ago=7200, ended=False, code=None)
    add("sync", ago=3, ended=False, code=None, done=1_000)
    assert told() == [
        "comparison under way, 1,000 names.",
        "last compared 2 hours ago: it was broken off; nothing is known of one after which everything agreed.",
    ]
    assert list(sentences_of_trouble(work_on("default"))) == told()[1:]


def test_somebody_was_killed():
    add("watch", ago=5, ended=False, life=ended_life())
    [sentence] = told()
    assert re.sub(r"\d+ seconds", "some time", sentence) == (
        "process 7 of web-1, which stayed and drained, has died; it has given no sign of life for some time, and nobody has drained "
        "since: run manage.py resto_drain --watch."
    )
    assert len(list(sentences_of_trouble(work_on("default")))) == 1


def test_what_is_fine_is_no_trouble():
    add("watch", ago=5, ended=False)
    add("drain", ago=5, code=1)
    add("sync", ago=10)
    assert list(sentences_of_trouble(work_on("default"))) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"started": None, "seen": None, "ended": None, "code": None}, "nobody has begun so far"),
        ({"counts": '{"fine": 2, "failed": 1}', "code": 1, "problems": '["No."]'}, "2 fine, 1 failed, No"),
        ({}, "done"),
        ({"code": 1}, "failed"),
        ({"started": None, "seen": None, "code": None, "problems": '["withdrawn by ann"]'}, "withdrawn by ann"),
        ({"ended": None, "seen": 1.0, "code": None}, "it was broken off"),
        (
            {"ended": None, "seen": 1.0, "code": None, "begun": 2, "asked_by": "ann"},
            "it was broken off, and is begun again by the next process that watches",
        ),
        ({"ended": None, "seen": 1.0, "code": None, "begun": 3, "asked_by": "ann"}, "it was broken off 3 times"),
        (
            {"started": None, "ended": None, "code": None, "begun": 1},
            "it was broken off, and is begun again by the next process that watches",
        ),
    ],
)
def test_outcome_of_a_probe(values, words):
    add("probe", ago=10, **values)
    assert outcome_of(find(Q(), 1)[0]) == words


def test_json():
    add("watch", ago=5, ended=False)
    add("sync", ago=10, code=1, problems='["No."]')
    record = record_of_work(work_on("default"))
    assert record["drained"] is record["died"] is record["agreed"] is None
    assert [run["machine"] for run in record["watching"]] == ["web-1"]
    assert (record["compared"]["code"], record["compared"]["problems"]) == (1, ("No.",))
    assert record["judged"] == record["compared"] | {"age": record["judged"]["age"]}

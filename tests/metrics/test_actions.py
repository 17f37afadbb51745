"""Counts of what hosts are asked for."""

import pytest

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, UnexpectedStatusCode
from resto.metrics import actions
from resto.outcomes import Outcome


WHERE = ("http://one/", "a", "upload")


@pytest.fixture
def counted():
    """A function: what has happened -> by how much the count of its failures rises, by their reasons."""

    def failures():
        return {
            sample.labels["reason"]: sample.value
            for metric in actions.FAILURES.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["host"] == "http://one/"
        }

    def rise(error):
        before = failures()
        actions.resto_action_finished(Outcome("upload", "http://one/", "a", 0.25, error=error))
        return {reason: value - before.get(reason, 0) for reason, value in failures().items()}

    return rise


@pytest.mark.parametrize(
    ("error", "unavailable", "answer"),
    [
        (None, 0, 0),
        (RemoteFileNotFoundError(*WHERE, "no such file"), 0, 0),
        (HostUnavailableError(*WHERE, "connection refused"), 1, 0),
        (UnexpectedStatusCode(*WHERE, 500, "Internal Server Error"), 0, 1),
        (OSError("here"), 0, 1),
    ],
    ids=str,
)
def test_failures(counted, error, unavailable, answer):
    """Both reasons are there from the start, so that the first failure is a rise."""
    assert counted(error) == {"unavailable": unavailable, "answer": answer}


def seconds_of(host):
    return {
        sample.name.rpartition("_")[2]: sample.value
        for metric in actions.SECONDS.collect()
        for sample in metric.samples
        if sample.labels["host"] == host and sample.name.endswith(("_count", "_sum"))
    }


def test_durations():
    for seconds in (0.25, 0.5):
        actions.resto_action_finished(Outcome("upload", "http://two/", "a", seconds))
    assert seconds_of("http://two/") == {"count": 2, "sum": 0.75}


def test_bytes():
    for size in (5, 0, 7):
        actions.note_sent("http://three/", size)
    (metric,) = actions.SENT.collect()
    assert [s.value for s in metric.samples if s.name.endswith("_total") and s.labels["host"] == "http://three/"] == [
        12
    ]

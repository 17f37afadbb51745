"""Metrics for Prometheus: how many actions each host was asked for, how long they took, how many failed, what it missed."""

from prometheus_client import Counter, Gauge, Histogram

from resto import hookimpl
from resto.exceptions import RemoteFileNotFoundError
from resto.outcomes import Outcome


__all__ = ["resto_action_finished", "resto_host_pending"]

SECONDS = Histogram("resto_action_seconds", "How long actions took.", ["host", "action"])
FAILURES = Counter("resto_failures", "Actions that failed.", ["host", "action"])
PENDING = Gauge(
    "resto_pending", "Names that a host may have missed.", ["storage", "host"], multiprocess_mode="mostrecent"
)
OLDEST = Gauge(
    "resto_pending_oldest_seconds",
    "Age of the oldest change of them.",
    ["storage", "host"],
    multiprocess_mode="mostrecent",
)


@hookimpl
def resto_action_finished(outcome: Outcome) -> None:
    """Count an action, and note how long it took."""
    SECONDS.labels(outcome.host, outcome.action).observe(outcome.seconds)
    failures = FAILURES.labels(
        outcome.host, outcome.action
    )  # there from the start, so that the first failure is a rise
    # That a file is not there is an answer.
    if outcome.error is not None and not isinstance(outcome.error, RemoteFileNotFoundError):
        failures.inc()


@hookimpl
def resto_host_pending(storage: str, host: str, count: int, oldest: float | None) -> None:
    """Note what a host may have missed."""
    PENDING.labels(storage, host).set(count)
    OLDEST.labels(storage, host).set(oldest or 0)

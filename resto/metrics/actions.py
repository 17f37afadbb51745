"""Counts what hosts are asked for: how often, how long that takes, and what fails. A plugin that is bundled.

The counters are in the registry that all libraries have in common, so that whatever else shows that one shows them, too, such as
django-prometheus. With ``PROMETHEUS_MULTIPROC_DIR`` they are in files, which all processes of a machine share.
"""

from prometheus_client import Counter, Histogram

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.hookspecs import hookimpl
from resto.outcomes import Outcome


__all__ = ["FAILURES", "SECONDS", "SENT", "note_sent", "resto_action_finished"]

SECONDS = Histogram("resto_action_duration_seconds", "How long actions on hosts took.", ["host", "action"])
FAILURES = Counter("resto_action_failures", "Actions on hosts that failed.", ["host", "action", "reason"])
SENT = Counter("resto_sent_bytes", "Bytes of the files that hosts have stored.", ["host"])

# Why an action failed: the host did not answer, or it did, but not as it should.
_UNAVAILABLE, _ANSWER = "unavailable", "answer"


@hookimpl
def resto_action_finished(outcome: Outcome) -> None:
    """Count an action, and note how long it took."""
    host, action, error = outcome.host, outcome.action, outcome.error
    SECONDS.labels(host, action).observe(outcome.seconds)
    # Both are there from the start, so that the first failure is a rise.
    failures = {reason: FAILURES.labels(host, action, reason) for reason in (_UNAVAILABLE, _ANSWER)}
    # That a file is not there is an answer as it should be.
    if error is not None and not isinstance(error, RemoteFileNotFoundError):
        failures[_UNAVAILABLE if isinstance(error, HostUnavailableError) else _ANSWER].inc()


def note_sent(host: str, size: int) -> None:
    """Count the bytes of a file that a host has stored.

    Args:
        host: The host as it stands in the settings.
        size: In bytes.
    """
    SENT.labels(host).inc(size)

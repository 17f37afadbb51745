"""What people are told of hosts, and of master copies."""

from resto.counts import counted_up_to
from resto.repair.status import HostStatus, MasterStatus, Stranger
from resto.words.durations import due_in, duration


__all__ = [
    "answer_of",
    "backlog_of",
    "lines_of_identity",
    "sentence_of_host",
    "sentence_of_master",
    "sentence_of_stranger",
]


def sentence_of_master(master: MasterStatus) -> str:
    """Return how a master copy is.

    Args:
        master: One of which something is known.
    """
    if master.problem:
        return f"{master.storage}: nothing is written, sent or removed: {master.problem}"
    return f"{master.storage}: {master.location} is the master copy, as was seen {duration(master.looked or 0)} ago."


def sentence_of_host(status: HostStatus) -> str:
    """Return how a host is."""
    breaker = "" if status.breaker == "closed" else f"; its breaker is {status.breaker}"
    return f"{status.storage}: {status.host} {answer_of(status)}{breaker}; {backlog_of(status)}."


def answer_of(status: HostStatus) -> str:
    """Return whether a host answers, a sentence fragment."""
    return "answers" if status.reachable else f"does not answer: {status.problem}"


def backlog_of(status: HostStatus) -> str:
    """Return what a host may have missed, a sentence fragment."""
    if status.pending is None:
        return "nothing is recorded"
    under_way = f"; {status.under_way} under way" if status.under_way else ""
    if not status.pending or status.oldest is None or status.due is None:
        return f"nothing is pending{under_way}"
    error = f" (last error: {status.error.rstrip('.')})" if status.error else ""
    count = counted_up_to(status.pending, has_more=status.has_more)
    some = "" if status.compared == status.pending else f"{status.compared} of them "
    compared = f" ({some}found by a comparison)" if status.compared else ""
    return (
        f"{count} pending{compared}, the oldest for {duration(status.oldest)}, {due_in(status.due)}{error}{under_way}"
    )


def lines_of_identity(status: HostStatus) -> list[str]:
    """Return what there is to say of what a host has shown to be, in sentences."""
    remark = status.identity_remark
    end = "" if remark.endswith("?") else "."
    unknown = [f"It is not known whether this is the host that it was: {remark}{end}"] if remark else []
    to_fill = ["It is left out until it is filled: run manage.py resto_sync."] if status.left_out else []
    return [status.identity_problem] if status.identity_problem else unknown + to_fill


def sentence_of_stranger(alias: str, stranger: Stranger) -> str:
    """Return what there is to say of a host that a storage does not have, or spells otherwise.

    Args:
        alias: Of the storage.
        stranger: The host.
    """
    backlog = stranger.backlog
    pending = f"{counted_up_to(backlog.count, has_more=backlog.has_more)} pending, the oldest for {duration(backlog.oldest or 0)}"
    if stranger.spelling is not None:
        return f"{alias}: {stranger.host} is {stranger.spelling} in the settings; {pending}, which a drain sends there."
    return f"{alias}: {stranger.host} is not a host of this storage; {pending}, forgotten after a week."

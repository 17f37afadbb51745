"""What people and monitoring are told of who drains and compares."""

from collections.abc import Iterator
from typing import Any

from resto.counts import counted
from resto.record.runs import RunRow
from resto.record.traces import INTERRUPTED
from resto.repair.work import Work
from resto.words.durations import duration


__all__ = [
    "HOW_TO_WATCH",
    "outcome_of",
    "record_of_work",
    "sentence_of_death",
    "sentences_of_doubt",
    "sentences_of_trouble",
    "sentences_of_work",
]

HOW_TO_WATCH = "run manage.py resto_drain --watch"

_WORDS = {
    "sent": "sent",
    "removed": "removed",
    "handed_over": "handed over to drains",
    "queued": "handed to the task queue",
    "failed": "failed",
    "skipped": "left for later",
    "left": "left until the master copy is restored",
    "dropped": "dropped",
    "disagreements": "in which hosts differ from each other",
}


def sentences_of_work(work: Work, *, is_lagging: bool) -> Iterator[str]:
    """Say who looks after a storage, and when somebody did so last; nothing of a storage that nobody had to look after so far.

    Args:
        work: Who does.
        is_lagging: Whether a host lags.
    """
    for run in work.watching:
        yield f"process {run.process} of {run.machine} stays and drains; its last sign of life is {duration(run.silence)} old."
    if work.died is not None:
        yield sentence_of_death(work.died)
    if work.drained is not None:
        yield f"last drained {_told(work.drained)}."
    elif is_lagging and not work.watching and work.died is None:
        yield f"nobody has drained so far: {HOW_TO_WATCH}."
    if work.compared is not None and work.compared.state == "under way":
        yield f"comparison {outcome_of(work.compared)}."
    if work.judged is not None:
        yield _sentence_of_comparison(work.judged, work)


def sentences_of_trouble(work: Work) -> Iterator[str]:
    """Say of who looks after a storage only what is not fine.

    Args:
        work: Who does.
    """
    if work.died is not None:
        yield sentence_of_death(work.died)
    yield from sentences_of_doubt(work)


def sentences_of_doubt(work: Work) -> Iterator[str]:
    """Say what the last comparison has found, or that it was broken off; nothing if everything agreed, or if there was none.

    Args:
        work: Who looks after the storage.
    """
    if work.judged is not None and work.is_in_doubt:
        yield _sentence_of_comparison(work.judged, work)


def _sentence_of_comparison(run: RunRow, work: Work) -> str:
    return f"last compared {_told(run)}{_last_good(work)}."


def sentence_of_death(run: RunRow) -> str:
    """Say that a process has died which stayed and drained.

    Args:
        run: Its own.
    """
    return (
        f"process {run.process} of {run.machine}, which stayed and drained, "
        f"{'has died; it ' if run.has_lost_its_process else ''}has given no sign of life for "
        f"{duration(run.silence)}, and nobody has drained since: {HOW_TO_WATCH}."
    )


def record_of_work(work: Work) -> dict[str, Any]:
    """Return the same for JSON: for each, seconds since its end or last sign of life, its state and exit code."""
    return {
        "watching": [_record(run) for run in work.watching],
        "died": _record(work.died),
        "drained": _record(work.drained),
        "compared": _record(work.compared),
        "agreed": _record(work.agreed),
        "judged": _record(work.judged),
    }


def _record(run: RunRow | None) -> dict[str, Any] | None:
    if run is None:
        return None
    names = ("id", "state", "age", "machine", "process", "code", "counts", "problems")
    return {name: getattr(run, name) for name in names}


def _told(run: RunRow) -> str:
    return f"{duration(run.age)} ago: {outcome_of(run)}"


def outcome_of(run: RunRow) -> str:
    """Return how far a run is, or what came of it, a sentence fragment."""
    if run.is_due_again or (run.state == "asked" and run.begun):
        return "it was broken off, and is begun again by the next process that watches"
    if run.state == "asked":
        return "nobody has begun so far"
    if run.state == "under way":
        total = "" if run.total is None else f" of {run.total:,}{'' if run.is_total_final else ' so far'}"
        return f"under way, {counted(run.done, 'name')}{total}"
    if run.state == "dead":
        return "it was broken off" + (f" {run.begun} times" if run.begun > 1 else "")
    if run.state == "withdrawn":
        return ", ".join(run.problems)
    return ", ".join([*_parts_of_outcome(run), *run.problems[:1]]).rstrip(".")


def _parts_of_outcome(run: RunRow) -> list[str]:
    parts = [f"{run.counts[name]:,} {words}" for name, words in _WORDS.items() if run.counts.get(name)]
    if run.kind == "sync" and run.code == INTERRUPTED:  # which leaves no counts
        return [f"ended after {counted(run.done, 'name')}"]
    if run.kind == "sync":
        compared = counted(run.counts.get("compared", 0), "file") + " compared"
        return [compared, *parts, *([] if run.code == 0 else ["not everything agrees"])]
    if run.kind == "drain":
        return parts or ["nothing was due"]
    others = [f"{number:,} {name}" for name, number in run.counts.items() if number and name not in _WORDS]
    return [*others, *parts] or ["done" if run.code == 0 else "failed"]


def _last_good(work: Work) -> str:
    if work.agreed is None:
        return "; nothing is known of one after which everything agreed"
    if work.judged is not None and work.judged.id == work.agreed.id:
        return ""
    return f"; the last after which everything agreed was {duration(work.agreed.age)} ago"

"""What was asked for on the page of hosts: it waits for a process that watches, and again if that ends in the middle of it."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import F, Min, Q

from resto.life import this_life
from resto.record.database import connected, outside_loops
from resto.record.runs import MOST, MOST_TIMES, WAITS, DatabaseClock, RunRow, find, runs_in


__all__ = ["ask", "begin", "give_back", "waiting", "withdraw"]


@outside_loops
def ask(kind: str, storage: str, hosts: Sequence[str], by: str, options: Mapping[str, Any] | None = None) -> int:
    """Ask for a run: the next process that watches begins it.

    Args:
        kind: One of `resto.record.runs.KINDS`.
        storage: Alias of the storage; empty for all.
        hosts: The hosts as they stand in the settings; none for all.
        by: Who asks for it; empty if nobody does, and it is not to be begun again.
        options: What else is asked for.

    Returns:
        Its number. One that was asked for before in the same words, and has not begun, stands for this one.

    Raises:
        Exception: As for `resto.record.runs.find`.
    """
    same = {
        "kind": kind,
        "storage": storage,
        "hosts": json.dumps(list(hosts)),
        "options": json.dumps(dict(options or {})),
    }
    with connected() as connection:
        runs = runs_in(connection)
        before = runs.filter(WAITS, **same).values_list("id", flat=True).first()
        return before or int(runs.create(**same, asked_by=by[:200], asked=DatabaseClock()).pk)


def waiting(kinds: Sequence[str]) -> list[RunRow]:
    """Return what waits, of each kind and storage what waits for longest, in this order.

    Args:
        kinds: One or more of `resto.record.runs.KINDS`.

    Raises:
        Exception: As for `resto.record.runs.find`.
    """
    begun = Q(kind__in=kinds, started__isnull=False, ended__isnull=True, begun__lt=MOST_TIMES) & ~Q(asked_by="")
    _give_back_each(begun, MOST)
    first = _first_of_each(kinds)
    return find(Q(id__in=first) & WAITS, len(first))[::-1] if first else []


@outside_loops
def _first_of_each(kinds: Sequence[str]) -> list[int]:
    with connected() as connection:
        groups = runs_in(connection).filter(WAITS, kind__in=kinds).order_by().values("kind", "storage")
        return list(groups.annotate(first=Min("id")).values_list("first", flat=True))


def begin(number: int) -> RunRow | None:
    """Begin in this process what waits; None if somebody was faster, or if it was withdrawn.

    Args:
        number: Which run.

    Raises:
        Exception: As for `resto.record.runs.find`.
    """
    now = DatabaseClock()
    here = {"machine": platform.node()[:255], "process": os.getpid(), "life": this_life()}
    if _change(Q(id=number) & WAITS, started=now, seen=now, begun=F("begun") + 1, **here):
        return next(iter(find(Q(id=number), 1)), None)
    return None


def give_back(number: int, begun: int) -> bool:
    """Let what was begun wait again; return whether nobody else has done so, and it has not ended.

    Args:
        number: Which run.
        begun: How often it had been begun.

    Raises:
        Exception: As for `resto.record.runs.find`.
    """
    condition = Q(id=number, begun=begun, started__isnull=False, ended__isnull=True)
    nowhere: dict[str, Any] = {"machine": "", "process": None, "life": ""}
    nothing = {"done": 0, "total": None, "is_total_final": False, "sent_bytes": 0, "total_bytes": None}
    return _change(condition, started=None, seen=None, **nowhere, **nothing)


def withdraw(numbers: Sequence[int], by: str) -> int:
    """End what waits, or would be begun again, without beginning it; return how much of it that was.

    Args:
        numbers: Which runs.
        by: Who does not want them any more.

    Raises:
        Exception: As for `resto.record.runs.find`.
    """
    _give_back_each(Q(id__in=numbers, started__isnull=False, ended__isnull=True), len(numbers))
    return sum(
        _change(Q(id=number) & WAITS, ended=DatabaseClock(), problems=json.dumps([f"withdrawn by {by[:200]}"]))
        for number in numbers
    )


def _give_back_each(condition: Q, most: int) -> None:
    """Let wait again what has been broken off, of what a condition finds."""
    for run in find(condition, most):
        if run.is_due_again:
            give_back(run.id, run.begun)


@outside_loops
def _change(condition: Q, **values: Any) -> bool:
    """Change a run of which something holds; return whether it did."""
    with connected() as connection:
        return bool(runs_in(connection).filter(condition).update(**values))

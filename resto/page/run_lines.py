"""Runs as a page tells of them, each in a line."""

from dataclasses import dataclass

from resto.names import shown
from resto.record.runs import RunRow
from resto.words.durations import duration
from resto.words.working import outcome_of


__all__ = ["RunLine", "line_of", "subject_of"]


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a line says.

    Attributes:
        id: The run's number.
        what: What is done, and for what.
        state: As for `resto.record.runs.RunRow`.
        outcome: How far it is, or what came of it.
        age: Since when it is in its state, in words.
        by: Who has asked for it; empty if nobody has.
        where: Machine and process; empty if nobody has begun.
        done: Names that were dealt with.
        total: Of how many; None if that is not known.
    """

    id: int
    what: str
    state: str
    outcome: str
    age: str
    by: str
    where: str
    done: int
    total: int | None

    @property
    def is_under_way(self) -> bool:
        """Whether somebody does it."""
        return self.state == "under way"

    @property
    def is_wrong(self) -> bool:
        """Whether it has failed, or was broken off."""
        return self.state in ("failed", "dead")


def line_of(run: RunRow) -> RunLine:
    """Return what there is to say of a run."""
    return RunLine(
        run.id,
        subject_of(run),
        run.state,
        shown(outcome_of(run)),
        duration(run.age),
        run.asked_by,
        f"{run.machine}, process {run.process}" if run.machine else "",
        run.done,
        None if run.total is None else max(run.total, run.done, 1),
    )


def subject_of(run: RunRow) -> str:
    """Return what a run is about."""
    storages = run.storage.replace(",", ", ") or "all storages"
    hosts = f", {', '.join(run.hosts)}" if run.hosts else ""
    prefix = run.options.get("prefix")
    return shown(f"{run.kind} of {storages}{hosts}" + (f", below {prefix}" if prefix else ""))

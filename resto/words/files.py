"""What people are told of single files."""

from dataclasses import asdict
from typing import Any

from resto.counts import counted
from resto.record.chosen import PendingFile
from resto.repair.names import Copy, FileStatus
from resto.words.durations import duration
from resto.words.moments import moment


__all__ = [
    "content_of",
    "lines_of_file",
    "record_of_file",
    "record_of_pending",
    "sentence_of_pending",
    "what_is_pending",
]


def sentence_of_pending(one: PendingFile) -> str:
    """Return what a list of pending files says of one."""
    return f"{one.storage}: {one.name} on {one.host}: {_since(one)}."


def record_of_pending(one: PendingFile) -> dict[str, Any]:
    """Return the same, for JSON."""
    record = asdict(one)
    del record["is_under_way"]  # none of a list is
    return record


def lines_of_file(status: FileStatus) -> list[str]:
    """Return what there is to say of a file, a line for each place."""
    lines = [f"{status.storage}: {status.name}"]
    if status.master is not None:
        lines.append(f"  master copy: {content_of(status.master)}.")
    for copy in status.hosts:
        told = content_of(copy) if copy.is_known else "not a host of this storage"
        lines.append(f"  {copy.host}: {told}; {what_is_pending(copy, is_recorded=status.is_recorded)}.")
    return lines


def record_of_file(status: FileStatus) -> dict[str, Any]:
    """Return the same, for JSON."""
    hosts = [
        {"host": copy.host, "in_settings": copy.is_known, **_copied(copy)}
        | {"pending": [_row(one) for one in copy.pending] if status.is_recorded else None}
        for copy in status.hosts
    ]
    master = None if status.master is None else _copied(status.master)
    return {"storage": status.storage, "name": status.name, "master": master, "hosts": hosts, "agrees": status.agrees}


def _row(one: PendingFile) -> dict[str, Any]:
    record = asdict(one)
    for known in ("storage", "host", "name"):
        del record[known]
    return record


def _copied(copy: Copy) -> dict[str, Any]:
    modified = None if copy.modified is None else copy.modified.isoformat()
    return {"size": copy.size, "modified": modified, "problem": copy.problem}


def content_of(copy: Copy) -> str:
    """Return what a host, or the master copy, has of a file, a sentence fragment."""
    if copy.problem:
        return f"not known, {copy.problem}"
    if copy.size is None:
        return "no file"
    size = counted(copy.size, "byte")
    return size if copy.modified is None else f"{size}, of {moment(copy.modified)}"


def what_is_pending(copy: Copy, *, is_recorded: bool) -> str:
    """Return what a host may have missed of a file, a sentence fragment.

    Args:
        copy: What the host has.
        is_recorded: Whether anything is recorded.
    """
    if not is_recorded:
        return "nothing is recorded"
    if not copy.pending:
        return "nothing is pending"
    waiting = [one for one in copy.pending if not one.is_under_way]
    return _since(waiting[0]) if waiting else f"under way for {duration(copy.pending[0].age)}"


def _since(one: PendingFile) -> str:
    due = f"due in {duration(one.due)}" if one.due > 0 else f"due for {duration(-one.due)}"
    error = f" (last error: {one.error.rstrip('.')})" if one.error else ""
    return f"pending for {duration(one.age)}, {due}{error}"

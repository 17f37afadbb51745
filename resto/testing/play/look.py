"""What is where: on the disks of the hosts and of the master copy, and in the record."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from resto.names import is_temporary
from resto.record.backlog import NOTHING, Backlog, backlog_of
from resto.record.identities import find_all


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from resto.testing.play.scene import Scene, Told
    from resto.testing.processes import MediaServer


# Of the watching process, the newest.
LINES = 6

# Of each host; a page with more would be slow.
MOST_FILES = 100

# By which a host proves that it is the one that it was.
IDENTITY = ".resto.host"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of a host, or one that it should have.

    Attributes:
        name: Its name.
        url: Where the host serves it.
        size: In bytes; None if the host does not have it.
        state: ``"same"`` as the master copy, ``"missing"``, ``"other"`` content, or ``"extra"`` if the master copy does not have it.
    """

    name: str
    url: str
    size: int | None
    state: str


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host, as it is on its disk.

    Attributes:
        name: What people call it.
        url: Its address.
        state: ``"running"``, ``"frozen"`` or ``"stopped"``.
        files: What it has and should have.
        more: How many files are not among these.
        backlog: What the record says that it may have missed.
        has_lost_files: Whether it cannot prove any more that it is the host that it was.
        is_equal: Whether it has what the master copy has, and nothing else.
    """

    name: str
    url: str
    state: str
    files: list[SeenFile]
    more: int
    backlog: Backlog
    has_lost_files: bool
    is_equal: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the page shows, as of now.

    Attributes:
        hosts: The hosts.
        watcher: The state of the watching process.
        lines: What that has said last.
        told: What commands have said last, the newest first.
        files: How many files the master copy has.
    """

    hosts: list[SeenHost]
    watcher: str
    lines: list[str]
    told: list[Told]
    files: int


def look(scene: Scene) -> Seen:
    """Return what is where; no host is asked, so that one that is frozen keeps nobody waiting.

    Args:
        scene: What runs beside the site.
    """
    master = sizes_below(scene.directory / "master")
    backlogs, known = backlog_of("default"), find_all("default")
    return Seen(
        hosts=[
            _host(host, master, backlogs.get(host.url, NOTHING), is_known=host.url in known) for host in scene.hosts
        ],
        watcher=scene.watcher.state,
        lines=_last_lines(scene.watcher.log),
        told=list(reversed(scene.told)),
        files=len(master),
    )


def sizes_below(directory: Path) -> dict[str, int]:
    """Return the sizes of all files, by name, but for what is resto's own.

    Args:
        directory: Where to look; it may be missing, and change meanwhile.
    """
    return dict(_sizes_below(directory))


def _sizes_below(directory: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if any(map(is_temporary, name.parts)):
            continue
        try:
            if path.is_file():
                yield name.as_posix(), path.stat().st_size
        except FileNotFoundError:
            continue


def _host(host: MediaServer, master: Mapping[str, int], backlog: Backlog, *, is_known: bool) -> SeenHost:
    has = sizes_below(host.directory)
    names = sorted({*has, *master})
    return SeenHost(
        host.name,
        host.url,
        host.state,
        files=[_file(host.url, name, has.get(name), master.get(name)) for name in names[:MOST_FILES]],
        more=max(0, len(names) - MOST_FILES),
        backlog=backlog,
        has_lost_files=is_known and not (host.directory / IDENTITY).exists(),
        is_equal=has == master,
    )


def _file(url: str, name: str, size: int | None, expected: int | None) -> SeenFile:
    if size is None:
        state = "missing"
    elif expected is None:
        state = "extra"
    else:
        state = "same" if size == expected else "other"
    return SeenFile(name, url + quote(name), size, state)


def _last_lines(log: Path | None) -> list[str]:
    if log is None or not log.exists():
        return []
    with log.open(errors="replace") as lines:
        return [line.rstrip() for line in deque(lines, LINES)]

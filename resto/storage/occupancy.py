"""Whether hosts have files already, and storages a directory in common: before a master copy begins."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from queue import Empty, Queue
from time import monotonic

from resto.courses import course_of, finish
from resto.exceptions import ConfigurationError, HostUnavailableError, RemoteFileNotFoundError, TransportError
from resto.executors import Job
from resto.names import HOST_IDENTITY, is_temporary
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.storage.layout import layout
from resto.transports import Directory, Transport


__all__ = ["aliases_of_location", "are_empty", "naming_storage", "occupied_host", "show_no_files"]

# The commands that want to know which storage is meant.
_COMMANDS = re.compile(r"manage\.py resto_(restore|adopt)")

# Seconds in which a host has to answer.
PATIENCE = 2.0

# Directories that are looked into for files; a host with more of them has some.
_MAX_DIRECTORIES = 100


def aliases_of_location(location: str) -> dict[str, object]:
    """Return the storages in ``STORAGES`` that have their master copy in a directory, by their aliases.

    Args:
        location: Its path.
    """
    return layout().at(os.path.realpath(location))


def naming_storage(problem: ConfigurationError, location: str) -> ConfigurationError:
    """Let the commands that an error recommends be about the storage of a directory, where there are others.

    Args:
        problem: What is wrong with the directory.
        location: Its path.
    """
    alias = next(iter(aliases_of_location(location)), None)
    if alias is None or len({place for _, place in layout().places.values()}) == 1:
        return problem
    hint = _COMMANDS.sub(lambda command: f"{command[0]} --storage {alias}", problem.hint)
    return ConfigurationError(problem.problem, hint, problem.code)


def occupied_host(transports: Mapping[str, Transport]) -> str | None:
    """Ask hosts for files; return which one has some, a sentence fragment, or None if none of those that answer in time says so.

    Args:
        transports: Of each host.
    """
    for outcome in _answers(transports):
        if outcome.value:
            return f"{outcome.host} has some"
    return None


def are_empty(transports: Mapping[str, Transport]) -> bool:
    """Return whether all hosts say that they have no files; none that does not answer, or does not list them.

    Args:
        transports: Of each host.
    """
    outcomes = _answers(transports)
    return len(outcomes) == len(transports) and all(outcome.value is False for outcome in outcomes)


def show_no_files(transports: Mapping[str, Transport]) -> bool:
    """Return whether all hosts answer, and none says that it has files; one that does not list them may have some.

    Args:
        transports: Of each host.
    """
    outcomes = _answers(transports)
    return len(outcomes) == len(transports) and all(outcome.ok and not outcome.value for outcome in outcomes)


def _answers(transports: Mapping[str, Transport]) -> list[Outcome]:
    """Return what hosts have answered in time; a save waits for this."""
    answers: Queue[Outcome] = Queue()
    jobs = [
        Job("listdir", host, "", partial(_has_files, transport, host), answers.put)
        for host, transport in transports.items()
    ]
    get_plugin_manager().executor("thread")().submit(jobs)
    found: list[Outcome] = []
    deadline = monotonic() + PATIENCE
    with suppress(Empty):
        while len(found) < len(jobs):
            found.append(answers.get(timeout=max(0.0, deadline - monotonic())))
    return found


def _has_files(transport: Transport, host: str) -> bool | None:
    """Return whether a host has files; None if it does not list them, and has no identity either."""
    waiting = [""]
    for _ in range(_MAX_DIRECTORIES):
        if not waiting:
            return False
        name = waiting.pop()
        there = _browsed(transport, host, name)
        if there is None:
            return bool(name) or finish(course_of(transport.exists, host, HOST_IDENTITY)) or None
        if not all(map(is_temporary, there.files)):
            return True
        waiting += [f"{name}/{directory}" if name else directory for directory in there.directories]
    return True


def _browsed(transport: Transport, host: str, name: str) -> Directory | None:
    try:
        return finish(course_of(transport.browse, host, name))
    except RemoteFileNotFoundError:
        return Directory()
    except HostUnavailableError:
        raise
    except TransportError:
        return None  # it may not list them for this site

"""The one thing that a worker does, whichever queue the message came through."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import storages

from resto.exceptions import JobRefusedError, ReplicationError
from resto.executors.queue import Message, retry_delay
from resto.names import clean_name, require_storable
from resto.outcomes import Outcome
from resto.record.meaning import wanted_rest
from resto.settings import storage_settings
from resto.storage import AsyncStorage
from resto.storage.background import REMOTE_ACTIONS


__all__ = ["Done", "perform", "received"]

logger = logging.getLogger("resto")

_SHOWN = 200  # characters of a value that is refused

_MAX_NAME = 4_096  # bytes: the longest path of Linux


def received(args: tuple[Any, ...], message: dict[str, Any]) -> dict[str, Any]:
    """Return what a queue has called a worker's function with, as one message; positional arguments make it a wrong one.

    Args:
        args: The positional arguments.
        message: The others.
    """
    return message | {"args": args} if args else message


def perform(message: Mapping[str, Any]) -> "Done":
    """Do what a message of a queue asks for.

    Only the actions that `AsyncStorage` hands over are carried out, of a storage in ``STORAGES``, on its own hosts.
    Failures on hosts are logged, as in the process that saved the file.

    Args:
        message: As in `resto.executors.queue.Message`; whoever can write to the queue may have made it.

    Returns:
        What happened, and what to send again later.

    Raises:
        JobRefusedError: The message asks for something else. Nothing was done, and trying again is of no use.
    """
    try:
        request = _parsed(message)
    except JobRefusedError as refusal:
        logger.error("Refused a job: %s.", refusal)  # noqa: TRY400 - there is nothing to see in the traceback
        raise
    performed = request.storage.perform(request.action, request.hosts, request.name, request.record)
    again = cast("Message", {**message, "record": performed.record})
    return Done(
        performed.outcomes,
        [Message(**again | {"hosts": [outcome.host]}) for outcome in performed.outcomes if not outcome.ok],
    )


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker has done with a message.

    Attributes:
        outcomes: One per host that was not left to others, in the order of the hosts.
        again: What to send again later: one message for each host that failed, so that it holds up no other.
    """

    outcomes: list[Outcome]
    again: list[Message]

    def delay(self, message: Message, retries: int) -> float:
        """Return how many seconds to wait before a message is sent again: no less than its host wants to be left alone.

        Args:
            message: One of those in `again`.
            retries: How many there were before.
        """
        return max(retry_delay(retries), self.rest(message))

    def rest(self, message: Message) -> float:
        """Return for how many seconds the host of a message wants to be left alone, ten minutes at most; 0 if it has not said so.

        Args:
            message: One of those in `again`.
        """
        return max(wanted_rest(outcome.error) for outcome in self.outcomes if outcome.host in message["hosts"])

    def error(self, message: Mapping[str, Any]) -> ReplicationError:
        """Return what says which hosts failed, for those that were tried often enough.

        Args:
            message: What was asked for.
        """
        return ReplicationError(message["action"], message["name"], self.outcomes)


@dataclass(frozen=True, slots=True)
class _Request:
    storage: AsyncStorage
    action: str
    hosts: list[str]
    name: str
    record: str


def _parsed(message: Mapping[str, Any]) -> _Request:
    if set(message) != set(Message.__annotations__):
        raise JobRefusedError(f"it has {_shown(sorted(message))}, and should have {sorted(Message.__annotations__)}")
    action = message["action"]
    if not isinstance(action, str) or action not in REMOTE_ACTIONS:
        raise JobRefusedError(f"{_shown(action)} is not one of the actions {', '.join(sorted(REMOTE_ACTIONS))}")
    storage = _find_storage(message["storage"])
    hosts, name, record = message["hosts"], message["name"], message["record"]
    if not isinstance(record, str):
        raise JobRefusedError(f"{_shown(record)} does not name rows of the record")
    return _Request(storage, action, _checked_hosts(storage, hosts), _checked_name(name), record)


def _find_storage(alias: Any) -> AsyncStorage:
    known = storage_settings()
    if not isinstance(alias, str) or alias not in known:
        raise JobRefusedError(f"STORAGES of this worker has no {_shown(alias)}; it has {', '.join(known)}")
    storage = storages[alias]
    if not isinstance(storage, AsyncStorage):
        raise JobRefusedError(f"STORAGES[{alias!r}] is not an AsyncStorage")
    return storage


def _checked_hosts(storage: AsyncStorage, hosts: Any) -> list[str]:
    if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
        raise JobRefusedError(f"{_shown(hosts)} is not a list of hosts")
    for host in hosts:
        if host not in storage.hosts:
            raise JobRefusedError(f"{_shown(host)} is not a host of the storage, which has {', '.join(storage.hosts)}")
    if len(set(hosts)) < len(hosts):
        raise JobRefusedError(f"{_shown(hosts)} has a host twice")
    return hosts


def _checked_name(name: Any) -> str:
    try:
        if isinstance(name, str) and len(name.encode(errors="replace")) <= _MAX_NAME and clean_name(name) == name:
            require_storable(name)
            return name
    except (ValueError, SuspiciousFileOperation) as error:
        raise JobRefusedError(f"the name of the file: {_shortened(str(error))}") from None  # it may be very long
    raise JobRefusedError(f"{_shown(name)} is not the name of a file")


def _shown(value: Any) -> str:
    return _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

"""What may be asked for on the page of hosts: a process that watches does it. What can lose files is not among it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import SuspiciousFileOperation

from resto.names import shown
from resto.record import wishes
from resto.repair.directories import possible_directory
from resto.storage.finding import hosts_of, replicated_aliases


__all__ = ["Button", "Wanted", "WrongWishError", "ask", "buttons", "due_value", "resting", "wanted"]

# What buttons say, and the kinds of runs that they ask for.
_BUTTONS = {"Drain now": "drain", "Compare": "sync", "Probe": "probe"}


class WrongWishError(Exception):
    """What is asked for is not to be had here; the text says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to be done.

    Attributes:
        kind: One of `resto.record.runs.KINDS`.
        storage: Alias of the storage.
        hosts: The hosts as they stand in the settings; none for all.
        options: What else is asked for.
    """

    kind: str
    storage: str
    hosts: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What that is, in words."""
        hosts = f", {', '.join(self.hosts)}" if self.hosts else ""
        below = f", below {self.options['prefix']}" if "prefix" in self.options else ""
        return shown(f"{self.kind} of {self.storage}{hosts}{below}")


@dataclass(frozen=True, slots=True)
class Button:
    """Asks for something.

    Attributes:
        label: What it says.
        kind: Of the run.
        value: What it sends.
    """

    label: str
    kind: str
    value: str


def buttons(storage: str, host: str = "") -> Iterator[Button]:
    """Yield the buttons of a storage, or of one of its hosts.

    Args:
        storage: Its alias.
        host: As it stands in the settings; empty for all.
    """
    for label, kind in _BUTTONS.items():
        if not host or kind != "probe":  # files that are written to one are looked for on the others
            yield Button(label, kind, json.dumps({"kind": kind, "storage": storage, "host": host}))


def due_value(storage: str, host: str) -> str:
    """Return what the button sends that makes due what rests of a host.

    Args:
        storage: Its alias.
        host: As it stands in the settings.
    """
    return json.dumps({"storage": storage, "host": host})


def wanted(sent: Mapping[str, Any]) -> Wanted:
    """Return what a form says, be it that of a button, which sends one value, or that of a directory.

    Args:
        sent: The fields of the form.

    Raises:
        WrongWishError: There is no such storage, host or directory, or it cannot be asked for.
    """
    values = _of_button(sent["ask"]) if "ask" in sent else sent
    kind, storage, host = (str(values.get(name, "")) for name in ("kind", "storage", "host"))
    if kind not in _BUTTONS.values():
        raise WrongWishError("That cannot be asked for here.")
    _require_known(storage, host)
    return Wanted(kind, storage, (host,) if host else (), _options(kind, values))


def resting(sent: Mapping[str, Any]) -> tuple[str, str]:
    """Return the storage and the host whose names are to be made due, as a form says.

    Args:
        sent: The fields of the form.

    Raises:
        WrongWishError: There is no such storage or host.
    """
    values = _of_button(str(sent.get("due", "")))
    storage, host = (str(values.get(name, "")) for name in ("storage", "host"))
    _require_known(storage, host)
    if not host:
        raise WrongWishError("No host is named.")
    return storage, host


def _require_known(storage: str, host: str) -> None:
    if storage not in replicated_aliases():
        raise WrongWishError(shown(f"STORAGES has no {storage!r} of resto."))
    if host and host not in hosts_of(storage):
        raise WrongWishError(shown(f"STORAGES[{storage!r}] has no host {host}."))


def ask(wish: Wanted, by: str) -> int:
    """Ask for it, and return the number of the run.

    Args:
        wish: What is wanted.
        by: Who wants it.

    Raises:
        Exception: As for `resto.record.wishes.ask`.
    """
    return wishes.ask(wish.kind, wish.storage, wish.hosts, by, wish.options)


def _of_button(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # the second of what is nested deeply
        found = None
    return found if isinstance(found, dict) else {}


def _options(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "drain":
        return {"now": True}
    if kind != "sync":
        return {}
    try:
        directory = possible_directory(str(values.get("directory", "")))
    except SuspiciousFileOperation as error:
        raise WrongWishError(shown(f"{error}.")) from error
    checksum = {"checksum": True} if values.get("checksum") else {}
    return {**({"prefix": directory} if directory else {}), **checksum}

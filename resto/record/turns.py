"""Turns: of what goes through all files of a storage, one goes on at a time."""

import json
import os
import platform
import secrets
from typing import Any, Self

from django.db import IntegrityError

from resto.counts import counted
from resto.exceptions import ConfigurationError, LeaseLostError
from resto.life import has_ended, is_seen, this_life
from resto.record import leases
from resto.record.database import connected, outside_loops
from resto.record.identities import TURN, rows_in


__all__ = ["Turn"]


class Turn:
    """The right to go through all files of a storage. It ends with the process that has it; if that was on another machine, some time later.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        what: What is done with it, such as ``"restore"``.
    """

    def __init__(self, storage: str, what: str) -> None:
        self._storage = storage
        self._what = what
        self._token = secrets.token_hex(16)
        self._renewed = leases.monotonic()

    def __enter__(self) -> Self:
        """Take the turn.

        Raises:
            ConfigurationError: Somebody else has it.
            DatabaseError: The record cannot be used.
        """
        self._take()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._leave()

    @outside_loops
    def _take(self) -> None:
        now, seconds = leases.clock(), leases.lease_seconds()
        with connected() as connection:
            row = rows_in(connection).filter(storage=self._storage, host=TURN)
            holder = {"process": os.getpid(), "machine": platform.node(), "life": this_life()}
            values = {
                "identity": self._token,
                "state": self._what,
                "looked": now + seconds,
                "marks": json.dumps(holder),
            }
            if row.filter(looked__lte=now).update(**values):
                return
            try:
                if not row.exists():
                    rows_in(connection).create(storage=self._storage, host=TURN, **values)
                    return
            except IntegrityError:
                if connection.in_atomic_block:
                    raise
            found = row.values_list("identity", "state", "looked", "marks").first() or ("", self._what, now, "{}")
            token, state, until, who = *found[:3], json.loads(found[3])
            if has_ended(who.get("life", "")) and row.filter(identity=token).update(**values):
                return
        raise _taken(f"another {state} of STORAGES[{self._storage!r}] is under way", max(until - now, 1), who)

    @outside_loops
    def keep(self) -> None:
        """Make sure that it is still this one's turn; costs nothing most of the time.

        Raises:
            LeaseLostError: It is not, as this process has stood still.
        """
        if leases.monotonic() - self._renewed <= leases.lease_seconds() / 3:
            return
        began, until = leases.monotonic(), leases.clock() + leases.lease_seconds()
        with connected() as connection:
            if not rows_in(connection).filter(host=TURN, identity=self._token).update(looked=until):
                raise LeaseLostError("somebody else has taken over, as this process has stood still")
        self._renewed = began

    @outside_loops
    def _leave(self) -> None:
        with connected() as connection:
            rows_in(connection).filter(host=TURN, identity=self._token).delete()


def _taken(problem: str, seconds: float, holder: dict[str, Any]) -> ConfigurationError:
    """Return the error that says who has the turn, and how long to wait if they are gone."""
    if holder:
        problem = f"{problem}, by process {holder['process']} of {holder['machine']}"
    if is_seen(holder.get("life", "")):
        return ConfigurationError(problem, "Try again when that has ended.")
    return ConfigurationError(problem, f"If that was killed, try again in {counted(round(seconds), 'second')}.")

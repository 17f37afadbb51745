"""The breakers of this process, for others."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from resto import health
from resto.storage.finding import hosts_of, replicated_aliases, replicated_storages


__all__ = ["open_breakers"]


def open_breakers(aliases: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the hosts that this process does not ask at present.

    Args:
        aliases: Of storages; all if there are none.
    """
    found = []
    for alias in replicated_aliases(aliases):
        for host in hosts_of(alias):
            # Whatever a plugin raises: the sign of life that this belongs to must not be missed.
            with suppress(Exception):
                known = _state(alias, host)
                if known.state != "closed":
                    found.append({"storage": alias, "host": host, "state": known.state, "failures": known.failures})
    return found


def _state(alias: str, host: str) -> health.Health:
    transport = replicated_storages([alias])[alias].transport_for(host)
    return health.state(transport.identify(host))

"""The host that visitors are led to for a file: always the same one, so that caches stay warm, unless it may lack the file."""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from math import inf

from resto import health
from resto.record import database
from resto.record.lag import Lag, lag_of


__all__ = ["chosen", "forget", "is_reached", "lag_at_present"]

# Seconds from one look at what is pending to the next one, for all URLs of a storage.
EVERY = 1.0

# Seconds for which a look may be used while another thread looks anew.
LONGEST = 2.0

monotonic = time.monotonic  # injected by tests


class _Outlook:
    """What was seen last of what hosts may lack, and when to look again."""

    def __init__(self) -> None:
        self.lag: Lag | None = None
        self.looked = -inf
        self.due = -inf
        self.looking = threading.Lock()


# By storages and their hosts.
_outlooks: dict[tuple[str, tuple[str, ...]], _Outlook] = {}


def forget() -> None:
    """Look anew, whenever somebody has looked last."""
    _outlooks.clear()


# A forked child starts afresh: a thread that it does not have may have been looking.
os.register_at_fork(after_in_child=forget)


def chosen(urls: Iterable[str], name: str) -> str | None:
    """Return one of several URLs for a name, by rendezvous: without one of the others, or with one more, most names keep theirs.

    Args:
        urls: What there is to choose from; their order does not matter.
        name: The file's name.
    """
    key = name.encode(errors="surrogatepass")
    return max(urls, key=lambda url: blake2b(key, key=blake2b(url.encode()).digest()).digest(), default=None)


def lag_at_present(alias: str, hosts: Sequence[str]) -> Lag | None:
    """Return what hosts may lack, as a look of the last second has found; None where nobody can tell. Raises nothing.

    Args:
        alias: Of the storage in ``STORAGES``.
        hosts: As they stand in the settings.
    """
    if database.is_in_loop():
        return None
    key = alias, tuple(hosts)
    outlook = _outlooks.get(key) or _outlooks.setdefault(key, _Outlook())
    if monotonic() >= outlook.due and outlook.looking.acquire(blocking=False):
        try:
            _look(outlook, alias, hosts)
        finally:
            outlook.looking.release()
    return outlook.lag if monotonic() - outlook.looked < LONGEST else None


def _look(outlook: _Outlook, alias: str, hosts: Sequence[str]) -> None:
    now = monotonic()
    if now < outlook.due:
        return  # another thread was faster
    try:
        if not database.is_active():
            return  # in this thread; others may look
        outlook.lag = lag_of(alias, hosts)
    except Exception:  # noqa: BLE001 - whatever the database raises: no page is to fail for that
        outlook.lag = None
    outlook.looked, outlook.due = now, monotonic() + EVERY


def is_reached(identity: str) -> bool:
    """Return whether this process knows of nothing that keeps it from reaching a host.

    Args:
        identity: What all spellings of the host have in common.
    """
    return health.state(identity).state == "closed"

"""Whether a storage has identities at all: of its master copy, and of its hosts."""

from typing import Protocol

from resto.record import database
from resto.transports import Transport


__all__ = ["Identified", "Recorded", "alias_of_identities", "has_identities"]


class Recorded(Protocol):
    """What is asked of a storage of which something is recorded."""

    def is_recorded(self) -> bool:
        """Return whether changes are recorded, as far as the settings say."""

    def record_alias(self) -> str | None:
        """Return the alias under which changes are recorded; None where nothing is recorded."""


class Identified(Recorded, Protocol):
    """What is asked of a storage whose hosts have identities."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the hosts."""

    def transport_for(self, host: str) -> Transport:
        """Return the transport that speaks to a host."""


def has_identities(storage: Recorded) -> bool:
    """Return whether there are any: a storage has a record, and this is no test.

    Args:
        storage: Which one.
    """
    return storage.is_recorded() and not database.is_under_test()


def alias_of_identities(storage: Recorded) -> str | None:
    """Return the alias under which identities are recorded; None where there are none, or the record cannot be asked.

    Args:
        storage: Which one.
    """
    return storage.record_alias() if has_identities(storage) else None

"""How people are told that a storage has no hosts on purpose."""

from resto.hosts import NO_HOSTS
from resto.storage.finding import has_no_hosts, replicated_aliases


__all__ = ["absence_of_hosts", "absences_of_hosts"]


def absence_of_hosts(alias: str) -> str:
    """Return the sentence that says so.

    Args:
        alias: Of the storage.
    """
    return f"STORAGES[{alias!r}] has no hosts on purpose, as hosts is {NO_HOSTS!r}: files are in the master copy only."


def absences_of_hosts(aliases: list[str]) -> list[str]:
    """Return a sentence for each storage that has none.

    Args:
        aliases: Only these; all of resto's if there are none.
    """
    return [absence_of_hosts(alias) for alias in replicated_aliases(aliases) if has_no_hosts(alias)]

"""Settings that nothing can be done with: what is wrong is said in a sentence, and the rest of the site looked after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from resto.exceptions import ConfigurationError
from resto.record import database
from resto.record.rests import durations
from resto.storage.finding import (
    name_in_storages,
    problem_of_storage,
    replicated_aliases,
    unusable_backends,
)


__all__ = ["Unusable", "unusable_entries", "unusable_storages"]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A setting, or a part of one, that cannot be used.

    Attributes:
        what: As it stands in the settings.
        sentence: Why, and what to do.
        alias: Of the storage in ``STORAGES`` that it is about; None if it is about all.
    """

    what: str
    sentence: str
    alias: str | None = None


def unusable_entries(aliases: Sequence[str] = ()) -> list[Unusable]:
    """Return what of the record's settings and of ``STORAGES`` cannot be used, but for options of storages.

    Args:
        aliases: Of storages; all if there are none.
    """
    return [*_of_record(), *(_of_storage(alias, problem) for alias, problem in unusable_backends(aliases).items())]


def unusable_storages(aliases: Sequence[str] = ()) -> list[Unusable]:
    """Return the storages of resto whose options are wrong, beside what `unusable_entries` returns.

    Args:
        aliases: Of storages; all if there are none.
    """
    problems = {alias: problem_of_storage(alias) for alias in replicated_aliases(aliases)}
    return [*unusable_entries(aliases), *(_of_storage(*one) for one in problems.items() if one[1])]


def _of_storage(alias: Any, problem: str) -> Unusable:
    what = name_in_storages(alias)
    return Unusable(what, f"{what}: {problem.rstrip('.')}.", alias)


def _of_record() -> Iterator[Unusable]:
    try:
        if database.is_installed():
            durations()
    except ConfigurationError as error:
        what = "RESTO_DATABASE" if error.code == "E013" else "RESTO_LEASE or RESTO_GRACE"
        yield Unusable(what, f"{error}.")

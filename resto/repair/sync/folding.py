"""Names that differ by nothing but their spelling, of which a host may keep one only: by upper and lower case, or by the form of Unicode."""

import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial

from resto.executors import Job
from resto.repair.spellings import takes_cases_for_one, takes_forms_for_one
from resto.repair.sync.hosts import Listings
from resto.transports import Directory, Transport


__all__ = ["Folding", "merged_with"]

# What a host may take for one -> how that is tried.
_Trial = Callable[[Transport, str], bool]


class Folding:
    """Which names of a comparison hosts cannot have, as another one stands for both; and under which others they have names.

    Each host is tried with temporary files of resto's own, when such names are found for the first time.

    Args:
        transport_for: Returns the transport of a host.
        has_truth: Whether there is something that hosts are compared with; if not, it is what the others have.
        is_dry_run: Whether nothing is changed: then no host is tried, and all names are taken for different ones.
    """

    def __init__(self, transport_for: Callable[[str], Transport], *, has_truth: bool, is_dry_run: bool) -> None:
        self._transport_for = transport_for
        self._has_truth = has_truth
        self._is_dry_run = is_dry_run
        self._tried: dict[tuple[str, _Trial], bool] = {}

    def merged(self, host: str, wanted: Collection[str], there: Collection[str]) -> dict[str, str]:
        """Return the names that a host cannot have -> the one that it has in their place, or gets first.

        Args:
            host: The host as it stands in the settings.
            wanted: The last parts of the names that it should have in a directory.
            there: Those that it lists there.
        """
        missing = [] if self._is_dry_run else sorted(name for name in wanted if name not in there)
        every = _merged(missing, there, _folded)
        if not every:
            return {}
        folds_case = every != _merged(missing, there, _composed) and self._has_passed(host, takes_cases_for_one)
        folds_forms = every != _merged(missing, there, str.casefold) and self._has_passed(host, takes_forms_for_one)
        return _merged(missing, there, _KEYS[folds_case, folds_forms])

    def respelled(self, here: Directory, theres: Listings) -> Listings:
        """Return what hosts list of a directory, with the spelling of the others where they have another form of Unicode.

        A file of which the host makes another form is not missing, and what it lists is not one that nobody else has.

        Args:
            here: What the truth has there.
            theres: What the hosts list.
        """
        found = dict(theres)
        for host, there in () if self._is_dry_run else theres.items():
            if there is not None:
                others = [here] if self._has_truth else [one for name, one in found.items() if one and name != host]
                found[host] = self._respelled(host, there, others)
        return found

    def _respelled(self, host: str, there: Directory, others: Iterable[Directory]) -> Directory:
        listed = there.files.keys() | there.directories
        known = set[str]().union(*(one.files.keys() | one.directories for one in others))
        lone, missing = _by_form(listed - known), _by_form(known - listed)
        names = {own[0]: missing[form][0] for form, own in lone.items() if len(own) == len(missing.get(form, ())) == 1}
        if not names or not self._has_passed(host, takes_forms_for_one):
            return there
        files = {names.get(name, name): size for name, size in there.files.items()}
        return replace(there, files=files, directories={names.get(name, name) for name in there.directories})

    def _has_passed(self, host: str, trial: _Trial) -> bool:
        if (host, trial) not in self._tried:
            outcome = Job("probe", host, "", partial(trial, self._transport_for(host), host)).run()
            self._tried[host, trial] = outcome.ok and bool(outcome.value)
        return self._tried[host, trial]


def merged_with(name: str, owner: str) -> str:
    """Return why a host cannot have a name, a sentence fragment.

    Args:
        name: The last part of the name.
        owner: That of the one which it has in its place.
    """
    if _composed(name) == _composed(owner):
        what = f"the host takes both forms of Unicode for one, those of letters with accents, and has {owner!a}"
    else:
        what = f"the host does not tell upper from lower case, and has {owner!r}"
    return f"{what} in its place: rename one of them"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(_composed(name).casefold())


def _merged(missing: Iterable[str], there: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Return which names a host lacks that takes those of one key for one -> the one that it has."""
    owners = {key(name): name for name in there}
    return {name: owner for name in missing if (owner := owners.setdefault(key(name), name)) != name}


# By whether a host folds case, and forms.
_KEYS: dict[tuple[bool, bool], Callable[[str], str]] = {
    (True, True): _folded,
    (True, False): str.casefold,
    (False, True): _composed,
    (False, False): str,
}


def _by_form(names: Iterable[str]) -> dict[str, list[str]]:
    """Return those names of which there may be other forms, by one of them."""
    found: dict[str, list[str]] = {}
    for name in names:
        if not name.isascii():
            found.setdefault(_composed(name), []).append(name)
    return found

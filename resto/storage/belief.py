"""Whether a directory is the master copy: what its identity file says, against what the record knows of it.

An unmounted disk, a copy, a backup, or the directory of another machine looks like a master copy from which much was deleted. Hosts
that follow it lose files that nobody else has.

Looking at the record each time would cost a save more than all else here. What was believed is believed for a minute, as long
as the identity file has not changed in any way.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from django.db import DatabaseError

from resto.exceptions import ConfigurationError
from resto.master.identity import (
    Found,
    Identity,
    Proof,
    Seal,
    new_identity,
    read_identity,
    replace_identity,
    seal_of,
)
from resto.master.places import find_places, missing_places
from resto.master.root import Root
from resto.record import identities, leases
from resto.record.identities import Known
from resto.storage.beginning import Mastered, begin, begin_anew, complete, is_nothing_lost, is_untouched
from resto.storage.identified import alias_of_identities, has_identities
from resto.storage.occupancy import aliases_of_location, naming_storage
from resto.storage.verdict import CODE, is_made, matching, problem_of, problem_of_place, problem_of_reading


__all__ = ["RESTORING", "Belief", "marked_anew"]

T = TypeVar("T")

# Seconds for which what the record has said is not asked again.
BELIEVED_FOR = 60

# Seconds for which an action does not ask it again if it knew nothing, and nor did the directory.
UNKNOWN_FOR = 1

# Seconds after which the mark is replaced.
MARKED_FOR = 60 * 60

# Of directories in which something was looked at.
_MAX_PASSED = 10_000

# The state of a master copy that lacks files which hosts have, and which are being brought back.
RESTORING = "restoring"

# How often what does not fit is read.
_LOOKS = 3

monotonic = time.monotonic  # injected by tests


class Belief:
    """Believes in a directory that proves to be the master copy, and in no other one; see `resto.master.identity.Believer`.

    Args:
        storage: Whose master copy it is.
    """

    def __init__(self, storage: Mastered) -> None:
        self._storage = storage
        self._believed: dict[Seal, str] = {}
        self._known: Known | None = None
        self._until = 0.0
        self._passed: set[str] = set()

    @property
    def is_restoring(self) -> bool:
        """Whether files are being brought back, as the last access to the directory has shown."""
        return self._known is not None and self._known.state == RESTORING

    def require_whole(self) -> None:
        """Raise if files are being brought back; see `Believer.require_whole`."""
        if self.is_restoring:
            problem = f"{self._storage.location} is being restored; what it lacks may be on its way back"
            raise self._named(ConfigurationError(problem, "Let manage.py resto_restore come to its end.", CODE))

    def forget(self) -> None:
        """Ask the record again."""
        self._believed, self._known, self._until = {}, None, 0.0

    def aliases(self) -> list[str]:
        """Return under which storages the record may know the directory; none where it cannot be asked."""
        alias = alias_of_identities(self._storage)
        return [] if alias is None else [*aliases_of_location(self._storage.location)] or [alias]

    def key_of_turns(self, alias: str) -> str:
        """Return the alias under which somebody takes a turn in going through all files: storages may share the directory.

        Args:
            alias: Of the storage.
        """
        return min(self.aliases() or [alias])

    def require(self, *, anew: bool = True) -> bool:
        """Raise unless the directory proves to be the master copy, or has no identity yet; return whether it does prove it.

        Args:
            anew: Whether the record is asked, whatever it has said a moment ago.

        Raises:
            ConfigurationError: It does not. Nothing is written, sent or removed on its account.
            DatabaseError: The record cannot be read.
        """
        if anew:
            self.forget()
        try:
            with _opened(self._storage.location) as root:
                self.prove(root.descriptor, Proof())
        except FileNotFoundError:  # if nothing is known of it, whoever needs it says so
            self.require_unknown()
        return self._known is not None

    def require_all(self, *, anew: bool = True) -> bool:
        """Do what `require` does, and raise also unless all that was mounted below is.

        Args:
            anew: As for `require`.

        Raises:
            ConfigurationError: As for `require`.
            DatabaseError: As for `require`.
        """
        is_proven = self.require(anew=anew)
        if (known := self._known) is not None and known.places:
            with Root(self._storage.location) as root:
                for path in missing_places(root.descriptor, known.places):
                    raise self._named(problem_of_place(self._storage.location, path, known))
        return is_proven

    def examine(self) -> tuple[ConfigurationError | None, Known | None]:
        """Return what is wrong with the directory, if anything, and what the record knows of it; change nothing.

        Raises:
            DatabaseError: The record cannot be read.
        """
        aliases = self.aliases()
        if not aliases:
            return None, None
        try:
            with _opened(self._storage.location) as root:
                found, known = self._both(root.descriptor, aliases)
                places = [] if known is None else missing_places(root.descriptor, known.places)
        except FileNotFoundError:
            found, known, places = None, matching(identities.find(aliases), None), []
        except ConfigurationError as error:
            known = matching(identities.find(aliases), None)
            return self._named(error), known if is_made(known) else None
        problem = problem_of(self._storage.location, found, known)
        if problem is None and known is not None and places:
            problem = problem_of_place(self._storage.location, places[0], known)
        return problem and self._named(problem), known if is_made(known) else None

    def identity(self) -> str:
        """Return the id of the master copy, as the record knows it; empty if it knows none.

        Raises:
            DatabaseError: The record cannot be read.
        """
        _, known = self.examine()  # not what was believed a moment ago: another one may have been adopted
        return "" if known is None else known.identity

    def _named(self, problem: ConfigurationError) -> ConfigurationError:
        return naming_storage(problem, self._storage.location)

    def prove(self, root: int, proof: Proof, *, is_save: bool = False) -> None:
        """Raise unless a directory is the master copy; see `Believer.prove`.

        Args:
            root: As for `Believer`.
            proof: As for `Believer`.
            is_save: As for `Believer`.
        """
        believed = self._believed
        if not believed and not has_identities(self._storage):
            return
        seal, now = _seen(seal_of, root, self._storage.location), monotonic()
        if seal not in believed or now >= self._until:
            if not has_identities(self._storage) or (seal is None and now < proof.unknown_until and not is_save):
                return
            believed = self._look(root, seal, is_save=is_save)
            seal = next(iter(believed), None)
        if seal is None:
            proof.unknown_until = now + UNKNOWN_FOR
            return
        mark = believed[seal]
        if proof.seal is None:
            proof.seal, proof.mark = seal, mark
        elif seal != proof.seal and mark == proof.mark:
            # Who replaces the file here gives it another mark.
            raise ConfigurationError(
                f"{self._storage.location} was replaced, or emptied and restored", "Try again.", CODE
            )

    def _look(self, root: int, seal: Seal | None, *, is_save: bool) -> dict[Seal, str]:
        """Return the seal and the mark of what is believed; nothing where nothing is known on either side."""
        aliases = self.aliases()
        if not aliases:
            return {}
        try:
            found, known = self._both(root, aliases)
        except DatabaseError:
            if seal in self._believed:
                return self._believed  # the same file as when it was
            raise
        if found is None and not is_made(known):
            if not is_save:
                return {}
            found, known = begin(self._storage, root, aliases)
        elif known is not None and not is_made(known):
            found, known = complete(root, aliases)
        problem = problem_of(self._storage.location, found, known)
        if problem is not None and is_save and found is None and is_nothing_lost(self._storage, aliases, root):
            found, known = begin_anew(self._storage, root, aliases, known)
            problem = problem_of(self._storage.location, found, known)
        if problem is not None:
            raise self._named(problem)
        return self._believe(root, found, known)

    def _both(self, root: int, aliases: Sequence[str], looks: int = _LOOKS) -> tuple[Found | None, Known | None]:
        """Read what the directory and the record say; again if that does not fit: somebody may be changing one after the other."""
        found = _seen(read_identity, root, self._storage.location)
        known = matching(identities.find(aliases), found)
        if looks > 1 and problem_of(self._storage.location, found, known) is not None:
            return self._both(root, aliases, looks - 1)
        return found, known

    def _believe(self, root: int, found: Found | None, known: Known | None) -> dict[Seal, str]:
        assert found is not None  # noqa: S101 - nothing else is without a problem, as for the next line
        assert known is not None  # noqa: S101
        now, mark = leases.clock(), found.identity.mark
        if mark == known.next_mark:
            identities.finish_mark(known, mark)
        elif now - known.marks.get(mark, now) >= MARKED_FOR:
            with suppress(OSError):  # this machine may only read it
                found = marked_anew(root, found, known)
        if now - known.looked >= BELIEVED_FOR:
            identities.note(known, looked=now)
        believed = {found.seal: found.identity.mark}
        self._known, self._believed, self._until = known, believed, monotonic() + BELIEVED_FOR
        self._passed.clear()  # something may have been mounted there since
        return believed

    def require_unknown(self, *, is_save: bool = False) -> None:
        """Raise if there should be a directory; see `Believer.require_unknown`.

        Args:
            is_save: As for `Believer`.
        """
        aliases = self.aliases()
        problem = (
            problem_of(self._storage.location, None, matching(identities.find(aliases), None)) if aliases else None
        )
        if problem is not None and not (is_save and is_nothing_lost(self._storage, aliases)):
            raise self._named(problem)

    def is_new(self) -> bool:
        """Return whether a site that has no directory is new: nothing is known of one, nothing is pending, and no host has files.

        Nobody knows it where nothing is recorded.

        Raises:
            DatabaseError: The record cannot be read.
        """
        alias = self._storage.record_alias()
        return alias is not None and is_untouched(self._storage, self.aliases() or [alias])

    def check_place(self, root: int, directory: str) -> None:
        """Raise unless what was mounted on the way to a directory is; see `Believer.check_place`.

        Args:
            root: As for `Believer`.
            directory: As for `Believer`.
        """
        known = self._known
        if known is None or not directory or (directory in self._passed and not known.places):
            return
        places, is_there = find_places(root, directory)
        for path in known.places:
            if f"{directory}/".startswith(f"{path}/") and path not in places:
                raise self._named(problem_of_place(self._storage.location, path, known))
        if not places.keys() <= known.places.keys():
            remembered = identities.change_places(known, lambda before: {**before, **places})
            self._known = replace(known, places=remembered)
        if is_there:
            if len(self._passed) >= _MAX_PASSED:
                self._passed.clear()
            self._passed.add(directory)


def _opened(location: str) -> Root:
    """Open a directory; raise `FileNotFoundError` if it is missing, and else an error that says what is the matter."""
    try:
        return Root(location)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise problem_of_reading(location, error) from error


def _seen(look: Callable[[int], T], root: int, location: str) -> T:
    """Look at the identity of an open directory; raise an error that says what is the matter if that is not possible."""
    try:
        return look(root)
    except OSError as error:
        raise problem_of_reading(location, error) from error


def marked_anew(root: int, found: Found, known: Known) -> Found:
    """Replace the mark of a directory, so that copies which are made before are known for what they are.

    Args:
        root: A descriptor of the directory.
        found: What its identity file says.
        known: What the record knows of it.

    Raises:
        OSError: It cannot be written to.
        DatabaseError: The record cannot be used.
    """
    following = identities.change_mark(known, new_identity().mark)
    if not following:
        return found  # somebody else has just done so, and this is seen the next time
    replace_identity(root, Identity(found.identity.id, following))
    identities.finish_mark(known, following)
    return read_identity(root) or found

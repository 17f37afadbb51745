"""What the options of several commands may name, and what people answer to them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import SuspiciousFileOperation
from django.core.management import CommandError

from resto.names import shown
from resto.repair.directories import possible_directory, problem_of_directory
from resto.repair.unusable import Unusable, unusable_entries
from resto.storage.finding import hosts_of, replicated_aliases


__all__ = ["directory_of", "is_yes", "require_directory", "require_known", "require_terminal", "usable"]


def require_known(aliases: Sequence[str], hosts: Sequence[str] = ()) -> None:
    """Refuse what a storage or host is not called: a command that finds nothing to do would say that all is well.

    Args:
        aliases: Of storages.
        hosts: As they stand in the settings.

    Raises:
        CommandError: There is no such storage of resto, or no such host.
    """
    known = replicated_aliases()
    unknown = [alias for alias in aliases if alias not in known]
    for one in unusable_entries(unknown) if unknown else ():
        raise CommandError(shown(one.sentence))
    if unknown:
        raise CommandError(f"resto has no storage {unknown[0]!r}; it has {', '.join(known) or 'none'}.")
    found = {host for alias in aliases or known if hosts for host in hosts_of(alias)}
    wrong = [host for host in hosts if host not in found]
    if wrong:
        raise CommandError(f"There is no host {wrong[0]}; there are {', '.join(sorted(found)) or 'none'}.")


def usable(aliases: Sequence[str], unusable: Sequence[Unusable]) -> list[str]:
    """Return the storages of resto that are asked for and can be used.

    Args:
        aliases: That are asked for; all if there are none.
        unusable: What cannot be used.

    Raises:
        CommandError: resto has no such storage, or none is left.
    """
    broken = {one.alias for one in unusable}
    require_known([alias for alias in aliases if alias not in broken])
    left = [alias for alias in replicated_aliases(aliases) if alias not in broken]
    if not left:
        sentences = [one.sentence for one in unusable] or ["STORAGES has none of resto."]
        raise CommandError(shown(" ".join(sentences)))
    return left


def directory_of(prefix: str | None) -> str:
    """Return the canonical form of a directory that ``--prefix`` names; ``""``, which is everything, if it is not given.

    Args:
        prefix: What was given; None if nothing was.

    Raises:
        CommandError: It is empty, as a variable of the shell that is not set, leads out of the storage, or is too long.
    """
    if prefix is None:
        return ""
    if not prefix.strip():
        raise CommandError("--prefix is empty: is the variable set? Leave it out, if everything is meant.")
    try:
        return possible_directory(prefix)
    except SuspiciousFileOperation as error:
        raise CommandError(f"--prefix: {error}.") from error


def require_directory(prefix: str, masters: Sequence[Path], *, on_hosts: bool) -> None:
    """Refuse a directory that nobody has: it is mistyped, and to say that all is well would hide that.

    Args:
        prefix: Its name; empty for everything.
        masters: The directories of master copies.
        on_hosts: Whether a host may have it.

    Raises:
        CommandError: There is a file of this name, or nothing.
    """
    problem = problem_of_directory(prefix, masters, on_hosts=on_hosts)
    if not problem:
        return
    if any((master / prefix).is_file() for master in masters):
        above = prefix.rpartition("/")[0]
        hint = f"--prefix {above} is the directory that it is in." if above else "Without --prefix it is among all."
        problem = f"{problem}. {hint}"
    raise CommandError(shown(f"--prefix: {problem}{'' if problem.endswith(('.', '?')) else '.'}"))


def require_terminal(otherwise: str) -> None:
    """Raise unless somebody can be asked.

    Args:
        otherwise: What has not happened, and what to do, for the error.

    Raises:
        CommandError: Nobody can.
    """
    if not sys.stdin.isatty():
        raise CommandError(otherwise)


def is_yes(answer: str) -> bool:
    """Return whether somebody has agreed."""
    return answer.strip().lower() in ("y", "yes")

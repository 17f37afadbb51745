"""What the options of several commands may name, and what people answer to them."""

import sys
from collections.abc import Sequence

from django.core.management import CommandError

from resto.storage.finding import hosts_of, replicated_aliases


__all__ = ["is_yes", "require_known", "require_terminal"]


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
    if unknown:
        raise CommandError(f"resto has no storage {unknown[0]!r}; STORAGES has {', '.join(known) or 'none of resto'}.")
    found = {host for alias in aliases or known if hosts for host in hosts_of(alias)}
    wrong = [host for host in hosts if host not in found]
    if wrong:
        raise CommandError(f"There is no host {wrong[0]}; there are {', '.join(sorted(found)) or 'none'}.")


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

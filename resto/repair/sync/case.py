"""Names that differ by nothing but upper and lower case, of which a host may keep one only, such as one that runs on macOS or Windows."""

from collections.abc import Callable, Collection
from functools import partial

from resto.executors import Job
from resto.names import temporary_name
from resto.transports import Transport


__all__ = ["Case", "merged_with"]


class Case:
    """Which names of a comparison hosts cannot have, as another one stands for both.

    Each host is tried with a temporary file of resto's own, when such names are found for the first time.

    Args:
        transport_for: Returns the transport of a host.
        is_dry_run: Whether nothing is changed: then no host is tried, and all names are taken for different ones.
    """

    def __init__(self, transport_for: Callable[[str], Transport], *, is_dry_run: bool) -> None:
        self._transport_for = transport_for
        self._is_dry_run = is_dry_run
        self._folding: dict[str, bool] = {}

    def merged(self, host: str, wanted: Collection[str], there: Collection[str]) -> dict[str, str]:
        """Return the names that a host cannot have -> the one that it has in their place, or gets first.

        Args:
            host: The host as it stands in the settings.
            wanted: The last parts of the names that it should have in a directory.
            there: Those that it lists there.
        """
        missing = [] if self._is_dry_run else sorted(name for name in wanted if name not in there)
        if not missing:
            return {}
        owners = {name.casefold(): name for name in there}
        merged = {name: owner for name in missing if (owner := owners.setdefault(name.casefold(), name)) != name}
        return merged if merged and self._folds(host) else {}

    def _folds(self, host: str) -> bool:
        if host not in self._folding:
            tried = Job("probe", host, "", partial(self._try, host)).run()
            self._folding[host] = tried.ok and bool(tried.value)
        return self._folding[host]

    def _try(self, host: str) -> bool:
        transport, name = self._transport_for(host), temporary_name("")
        transport.create(host, name, b"resto")
        try:
            # Some hosts say of whatever they are asked that it is there.
            return transport.exists(host, name.swapcase()) and not transport.exists(host, temporary_name(""))
        finally:
            transport.delete(host, name)


def merged_with(name: str) -> str:
    """Return why a host cannot have a name, a sentence fragment.

    Args:
        name: The last part of the one that it has in its place.
    """
    return f"the host does not tell upper from lower case, and has {name!r} in its place: rename one of them"

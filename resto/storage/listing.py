"""Listings where there is no master copy: what a host says that can list, corrected by what it has missed."""

from collections.abc import Callable, Mapping, Sequence

from resto.names import is_canonical
from resto.record.rows import Row
from resto.record.truth import NOBODY, LeftOut, truth_of
from resto.transports import Transport


__all__ = ["able_hosts", "corrected", "least_behind", "listed_by", "missed_by_host"]


_UNABLE = {
    "supports_listdir": "cannot list directories; WebDAV can",
    "supports_modified_time": "cannot tell when a file was modified",
}


def able_hosts(hosts: Sequence[str], transport_for: Callable[[str], Transport], flag: str) -> list[str]:
    """Return the hosts whose transport can do something: one of them is enough.

    Args:
        hosts: All hosts of the storage.
        transport_for: Returns the transport of a host.
        flag: Of transports that can do it.

    Raises:
        NotImplementedError: None can.
    """
    able = [host for host in hosts if getattr(transport_for(host), flag)]
    if not able:
        kinds = dict.fromkeys(type(transport_for(host)).__name__ for host in hosts)
        raise NotImplementedError(f"{' and '.join(kinds)} {_UNABLE[flag]}")
    return able


def missed_by_host(
    hosts: Sequence[str], rows: Mapping[str, Sequence[Row]], left_out: LeftOut = NOBODY
) -> dict[str, set[str]]:
    """Return the names of which each host does not tell the truth.

    Args:
        hosts: All hosts of the storage.
        rows: Name -> its rows, oldest first.
        left_out: Hosts that are left out: nobody knows what these do not tell.
    """
    counting = [host for host in hosts if host not in left_out.hosts(hosts)]
    missed: dict[str, set[str]] = {host: set() for host in counting}
    for name, own in rows.items():
        if not is_canonical(name):
            continue  # whoever has written that row, it is about no file
        truth = truth_of(hosts, own, left_out)
        for host in counting if truth.is_gone else set(counting).difference(truth.hosts):
            missed[host].add(name)
    return missed


def least_behind(missed: Mapping[str, set[str]]) -> list[str]:
    """Return the hosts that know most.

    Args:
        missed: As `missed_by_host` returns it.
    """
    least = min(map(len, missed.values()), default=0)
    return [host for host in missed if len(missed[host]) == least]


def listed_by(
    transport_for: Callable[[str], Transport], host: str, name: str
) -> tuple[str, tuple[list[str], list[str]]]:
    """Return who has listed a directory, and the directories and files in it.

    Args:
        transport_for: Returns the transport of a host.
        host: The host as it stands in the settings.
        name: Of the directory; ``""`` is the root.
    """
    return host, transport_for(host).listdir(host, name)


def corrected(
    directory: str, directories: list[str], files: list[str], missed: set[str], exists: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Return a listing with what the host that has made it does not know.

    Args:
        directory: Which one; ``""`` is the root.
        directories: In it, as the host says.
        files: In it, as the host says.
        missed: Names below it of which the host does not tell the truth.
        exists: Tells whether a file is there.
    """
    there, here = dict.fromkeys(directories), dict.fromkeys(files)
    for name in sorted(missed):
        part, _, below = name.removeprefix(f"{directory}/" if directory else "").partition("/")
        if not exists(name):
            here.pop(part, None) if not below else None
        elif below:
            there[part] = None
        else:
            here[part] = None
    return list(there), list(here)

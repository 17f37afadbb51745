"""Reading where there is no master copy: hosts are asked until one has the answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeVar, cast

from resto.exceptions import ConfigurationError, RemoteFileNotFoundError, ReplicationError, TransportError
from resto.executors import Job
from resto.outcomes import Outcome
from resto.record.truth import Truth
from resto.storage.files import spool
from resto.transports import Transport


__all__ = ["any_has", "checked", "download", "first_answer", "require_file", "size_on", "unanswered"]

T = TypeVar("T")

# Returns which of some hosts are something else, and why.
Others = Callable[[Iterable[str]], Mapping[str, ConfigurationError]]


def no_others(hosts: Iterable[str]) -> Mapping[str, ConfigurationError]:
    """Return that no host is known to be something else."""
    return {}


def require_file(truth: Truth, host: str, name: str, action: str) -> None:
    """Refuse to ask for a file that is known to be gone, whatever hosts say.

    Args:
        truth: Of the name.
        host: For the error.
        name: The file's name.
        action: What hosts would be asked for.

    Raises:
        RemoteFileNotFoundError: It is.
    """
    if truth.is_gone:
        raise RemoteFileNotFoundError(host, name, action, "it was deleted, which no host has confirmed yet")


def first_answer(
    action: str,
    name: str,
    jobs: Iterable[Job],
    report: Callable[[Outcome], None],
    all_hosts: Sequence[str],
    others: Others = no_others,
) -> Any:
    """Ask hosts one after the other, until one has the answer.

    Args:
        action: What is asked.
        name: The file's name.
        jobs: One for each host that is asked.
        report: Told what each host said.
        all_hosts: Of the storage.
        others: Returns which hosts are something else, and are not asked.

    Raises:
        RemoteFileNotFoundError: None has the file.
        ReplicationError: None answers.
    """
    outcomes: list[Outcome] = []
    for job in jobs:
        outcome = job.run()
        report(outcome)
        if outcome.ok:
            return outcome.value
        outcomes.append(outcome)
    if outcomes and all(isinstance(outcome.error, RemoteFileNotFoundError) for outcome in outcomes):
        raise cast("RemoteFileNotFoundError", outcomes[0].error)
    raise unanswered(action, name, outcomes, all_hosts, others)


def any_has(name: str, outcomes: Sequence[Outcome], all_hosts: Sequence[str], others: Others = no_others) -> bool:
    """Return whether any host has a file, of those that were asked and have answered.

    Args:
        name: The file's name.
        outcomes: Of those that were asked.
        all_hosts: Of the storage.
        others: As for `first_answer`.

    Raises:
        ReplicationError: None has answered.
    """
    if not any(outcome.ok for outcome in outcomes):
        raise unanswered("exists", name, outcomes, all_hosts, others)
    return any(outcome.value for outcome in outcomes)


def unanswered(
    action: str, name: str, outcomes: Sequence[Outcome], all_hosts: Sequence[str], others: Others = no_others
) -> ReplicationError:
    """Return the error that says which hosts have not answered, and which were not asked.

    Args:
        action: What was asked.
        name: The file's name.
        outcomes: Of those that were asked.
        all_hosts: Of the storage.
        others: As for `first_answer`.
    """
    silent = [host for host in all_hosts if host not in {outcome.host for outcome in outcomes}]
    problems = others(silent)
    refused = [Outcome(action, host, name, 0.0, error=problem) for host, problem in problems.items()]
    left_out = [host for host in silent if host not in problems]
    text = f"not asked, as changes are pending there: {', '.join(left_out)}" if left_out else ""
    return ReplicationError(action, name, [*outcomes, *refused], text)


def download(transport_for: Callable[[str], Transport], host: str, name: str) -> IO[bytes]:
    """Return a file of a host, to be closed.

    Args:
        transport_for: Returns the transport of a host.
        host: The host as it stands in the settings.
        name: The file's name.
    """
    return spool(transport_for(host).open(host, name))


def size_on(transport_for: Callable[[str], Transport], host: str, name: str) -> int:
    """Return the size of a file on a host, in bytes.

    Args:
        transport_for: Returns the transport of a host.
        host: The host as it stands in the settings.
        name: The file's name.
    """
    transport = transport_for(host)
    return checked(transport, "size", host, name, int, transport.size(host, name))


def checked(transport: Transport, action: str, host: str, name: str, kind: type[T], told: T) -> T:
    """Return what a transport has told, if that can be: nothing else makes a file absent.

    Args:
        transport: Which one.
        action: What it was asked for.
        host: Which host it has asked.
        name: The file's name.
        kind: What it has to return.
        told: What it has returned.

    Raises:
        TransportError: It is something else.
    """
    if type(told) is kind:
        return told
    problem = f"the transport {type(transport).__name__} returned {told!r}, no {kind.__name__}"
    raise TransportError(host, name, action, problem)

"""What can lose files: it is not done by clicking, but typed, on a machine that has the files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

from resto.names import shown
from resto.page.looks import Look


__all__ = ["Typed", "commands_for"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A command.

    Attributes:
        purpose: What it does, a sentence.
        command: How it is typed.
        where: On which machine.
    """

    purpose: str
    command: str
    where: str


def commands_for(look: Look, machines: Sequence[str] = ()) -> Iterator[Typed]:
    """Yield the commands for a storage.

    Args:
        look: How it is.
        machines: Where somebody looks after it.
    """
    for purpose, command in _commands(look):
        yield Typed(purpose, shown(f"manage.py {command}"), shown(_where(look, machines)))


def _commands(look: Look) -> Iterator[tuple[str, str]]:
    storage = f"--storage {quote(look.storage)}"
    if look.master is not None:
        yield "Bring back to the master copy what hosts have.", f"resto_restore {storage}"
        yield "Let the directory, as it is, be the master copy.", f"resto_adopt {storage}"
    for status in look.statuses:
        host = quote(status.host)
        yield f"Take {status.host} for a new host, whatever it was.", f"resto_adopt {storage} --host {host}"
    if look.statuses:
        yield "Remove from hosts what only they have; first without --delete.", f"resto_sync {storage} --delete"
    for stranger in look.strangers:
        yield f"Forget what {stranger.host} has missed.", f"resto_forget {storage} {quote(stranger.host)}"


def _where(look: Look, machines: Sequence[str]) -> str:
    such = f", such as {', '.join(machines)}" if machines else ""
    if look.master is None:
        return f"any machine of the site{such}"
    return f"a machine that has {look.master.location}{such}"

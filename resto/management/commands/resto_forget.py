"""Ends what is recorded for a host that is gone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from resto.counts import counted
from resto.exceptions import ConfigurationError
from resto.management.choices import is_yes, require_known, require_terminal
from resto.management.interruption import INTERRUPTED, InterruptibleCommand
from resto.management.progress import ProgressBar
from resto.names import shown
from resto.progress import Progress
from resto.record import database, identities
from resto.record.chosen import forget_host, names_by_storage
from resto.storage.finding import find_host, name_in_storages, replicated_storages, unusable_backends


__all__ = ["Command"]


class Command(InterruptibleCommand):
    """``manage.py resto_forget``."""

    help = (
        "Forget what a host has missed that is gone for good, instead of keeping it for a week. Says how much that is, and asks "
        "before. A host that stands in the settings is refused: it would never get these files."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; the settings were just changed

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("host", metavar="HOST", help="the host, as it stood in the settings")
        parser.add_argument(
            "--storage", action="append", default=[], help="this alias only; may be given several times"
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_false", dest="interactive", help="forget without asking"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        forgotten: list[int] = []
        try:
            self._handle(options["host"], options["storage"], forgotten, interactive=options["interactive"])
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        except KeyboardInterrupt:
            text = f"Interrupted: {counted(sum(forgotten), 'row')} forgotten. Run the command again for the rest."
            raise CommandError(text, returncode=INTERRUPTED) from None

    def _handle(self, host: str, aliases: list[str], forgotten: list[int], *, interactive: bool) -> None:
        if not database.is_active():
            raise CommandError('Nothing is recorded: "resto" is not in INSTALLED_APPS.')
        found = {alias: number for alias, number in names_by_storage(host).items() if not aliases or alias in aliases}
        require_known([alias for alias in aliases if alias not in found])  # what is recorded may be of one that is gone
        for alias, problem in unusable_backends([*found]).items() if found else ():
            question = "Does it have this host? Correct it first."
            raise CommandError(shown(f"{name_in_storages(alias)}: {problem}. {question}"))
        standing = _standing(host)
        gone = {alias: number for alias, number in found.items() if alias not in standing}
        for alias in standing:
            if alias in aliases or not gone:
                raise CommandError(shown(_refusal(alias, host, standing[alias])))
        if not gone:
            self.stdout.write(shown(f"Nothing is recorded for {host}."))
            return
        for alias, number in gone.items():
            self.stdout.write(shown(f"{alias}: {_names(number)} recorded for {host}."))
        if interactive and not self._agrees():
            raise CommandError("Nothing was forgotten.")
        with ProgressBar("Forgetting", things="rows") as bar:
            for alias in gone:
                for number in forget_host(alias, host):
                    forgotten.append(number)
                    bar.follow(Progress(sum(forgotten)))
                # What has its address from now on is another one.
                identities.forget(alias, host)
        left = {alias: number for alias, number in names_by_storage(host).items() if alias in gone}
        self.stdout.write("Forgotten." if not left else _left(sum(left.values())))

    def _agrees(self) -> bool:
        require_terminal("Nothing was forgotten: nobody can be asked here. Give --no-input to forget without asking.")
        return is_yes(input("Forget them? The host will not get these files. [y/N] "))


def _standing(host: str) -> dict[str, str]:
    """Return the storages that have a host, however it is spelled, and how they spell it."""
    spellings = {alias: find_host(storage, host) for alias, storage in replicated_storages().items()}
    return {alias: spelling for alias, spelling in spellings.items() if spelling is not None}


def _refusal(alias: str, host: str, spelling: str) -> str:
    if spelling == host:
        return f"{host} stands in the settings of STORAGES[{alias!r}]. Remove it there first, and restart the site."
    return f"{host} is {spelling} in the settings of STORAGES[{alias!r}]; a drain sends there what it has missed."


def _names(number: int) -> str:
    return "1 name is" if number == 1 else f"{number:,} names are"


def _left(number: int) -> str:
    them = "it" if number == 1 else "them"
    return f"{_names(number)} left, as somebody may still be sending {them}: does another process have settings with the host?"

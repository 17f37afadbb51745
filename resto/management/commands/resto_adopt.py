"""Says which directory is the master copy, or which server a host, where that cannot be found out."""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from resto.counts import counted
from resto.exceptions import ConfigurationError, TransportError
from resto.management.choices import is_yes, require_known, require_terminal, usable
from resto.management.interruption import INTERRUPTED, InterruptibleCommand
from resto.management.progress import ProgressBar
from resto.names import shown
from resto.record import database
from resto.record.traces import Trace
from resto.repair.adoption import Adoption
from resto.repair.sync import HostReport
from resto.repair.unusable import unusable_entries
from resto.storage.finding import replicated_storages
from resto.words.absence import absences_of_hosts


__all__ = ["Command"]


class Command(InterruptibleCommand):
    """``manage.py resto_adopt``."""

    help = (
        "Say that the directory of a storage, as it is, is the master copy from now on, or that a server, as it is, is a host. Shows "
        "what differs, and asks before."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django types it; they say what this is to mend

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--storage", metavar="ALIAS", help="which storage of STORAGES, if resto has several")
        parser.add_argument(
            "--host", action="append", default=[], help="this host, not the directory; may be given several times"
        )
        parser.add_argument(
            "--although-files-are-missing",
            action="store_true",
            help="adopt a directory that lacks files which hosts have; a comparison may then remove them there",
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_false", dest="interactive", help="adopt without asking"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._handle(options)
        except (ConfigurationError, TransportError) as error:
            raise CommandError(shown(str(error))) from error
        except DatabaseError as error:
            raise CommandError(f"The record cannot be reached: {error}") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(shown(f"The directory cannot be adopted: {error}.")) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was adopted.", returncode=INTERRUPTED) from None

    def _handle(self, options: dict[str, Any]) -> None:
        if not database.is_installed():
            raise CommandError('Nothing is recorded: "resto" is not in INSTALLED_APPS.')
        adoption = Adoption(*_chosen(options["storage"], options["host"]), options["host"])
        for sentence in absences_of_hosts([adoption.alias]):
            raise CommandError(sentence)
        adoption.require_possible()
        missing = self._show(adoption)
        if missing and not options["although_files_are_missing"]:
            storage = f" --storage {adoption.alias}" if options["storage"] else ""
            raise CommandError(
                f"Nothing was adopted: {adoption.location} {missing} manage.py resto_restore{storage} brings them; give "
                "--although-files-are-missing to adopt it without them."
            )
        if options["interactive"] and not self._agrees(adoption):
            raise CommandError("Nothing was adopted.")
        with Trace("adopt", [adoption.alias], options["host"]) as trace:
            trace.begin()
            problems = adoption.carry_out()
            trace.end(0, problems=problems)
        self.stdout.write("Adopted.")
        for problem in problems:
            self.stdout.write(shown(problem))
        if adoption.hosts:
            self.stdout.write("Run manage.py resto_sync, which sends what is missing there.")

    def _show(self, adoption: Adoption) -> str:
        """Say what differs; return what the directory lacks, if that is what is to be adopted, and hosts have or may have."""
        with ProgressBar(adoption.alias) as bar:
            report = adoption.compare(bar.follow)
        for problem in report.problems:
            self.stdout.write(shown(f"{adoption.alias}: {problem}"))
        for host in report.hosts:
            for problem in host.problems:
                self.stdout.write(shown(f"{host.host}: {problem}"))
            self.stdout.write(shown(f"{adoption.alias}: {', '.join(_compared(host, adoption.location))}."))
        if adoption.hosts or adoption.location is None:
            return ""
        missing = max((host.extra for host in report.hosts), default=0)
        if missing:
            return f"lacks {counted(missing, 'file')} that hosts have."
        unseen = adoption.unseen_host(report)
        return f"has no files, and {unseen} does not list those that it may have." if unseen else ""

    def _agrees(self, adoption: Adoption) -> bool:
        require_terminal("Nothing was adopted: nobody can be asked here. Give --no-input to adopt without asking.")
        what = " and ".join(adoption.hosts) or adoption.location or "these hosts"
        return is_yes(input(shown(f"Let {what} be {adoption.role} from now on, as it is? [y/N] ")))


def _chosen(alias: str | None, hosts: Sequence[str]) -> tuple[str, Any]:
    """Return the storage that is meant; of several with one directory, the first."""
    aliases = [] if alias is None else [alias]
    found = replicated_storages(usable(aliases, unusable_entries(aliases)))
    require_known([*found], hosts)
    having = {one: storage for one, storage in found.items() if {*hosts} <= {*storage.hosts}}
    places = {getattr(storage, "location", one): one for one, storage in reversed(having.items())}
    if len(places) != 1:
        some = f"one of {', '.join(having)}" if having else "a storage that has all of these hosts"
        raise CommandError(f"Give --storage: {some}.")
    (chosen,) = places.values()
    return chosen, having[chosen]


def _compared(host: HostReport, location: str | None) -> Iterator[str]:
    common = host.compared - host.missing - host.different - host.failed
    here = "elsewhere" if location is None else f"in {location}"
    yield f"{host.host} has {counted(common, 'file')} in common with what is {here}"
    if host.different:
        yield f"{host.different:,} of another size"
    yield f"lacks {host.missing:,}"
    yield f"has {host.extra:,} that are not {here}"
    if host.failed:
        yield f"does not tell of {host.failed:,}"
    if host.unlisted:
        yield f"and may have more, as it does not list {host.unlisted:,} of its directories"

"""``manage.py collectstatic``: publish to all hosts at the end, what has changed only."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.contrib.staticfiles.management.commands import collectstatic
from django.core.management import CommandError

from resto.exceptions import ConfigurationError, TransportError
from resto.management.interruption import INTERRUPTED, InterruptibleCommand, tidy_up
from resto.management.progress import ProgressBar
from resto.management.quiet import quiet
from resto.names import shown
from resto.outcomes import Outcome
from resto.settings import get_setting
from resto.staticfiles.storage import Publication, StaticFilesStorage
from resto.words.absence import absence_of_hosts
from resto.words.durations import duration


__all__ = ["Command"]


class Command(InterruptibleCommand, collectstatic.Command):
    """Django's ``collectstatic``; with a storage of resto, hosts follow at the end."""

    def set_options(self, **options: Any) -> None:
        super().set_options(**options)
        if self.symlink and isinstance(self.storage, StaticFilesStorage):
            raise CommandError("Links cannot be published to media servers. Leave --link out.")

    def is_local_storage(self) -> bool:
        """Return whether files are collected in a directory, so that it is asked before some are overwritten."""
        return super().is_local_storage() or isinstance(self.storage, StaticFilesStorage)

    def collect(self) -> dict[str, list[str]]:
        destination = self.storage
        if not isinstance(destination, StaticFilesStorage) or self.dry_run:
            return super().collect()
        try:
            destination.require_sound_options()
            if not destination.hosts:
                self.log(absence_of_hosts("staticfiles"), level=1)
                return super().collect()
            return self._publish(destination)
        except ConfigurationError as error:
            raise CommandError(f"STORAGES['staticfiles']: {error}") from error

    def _publish(self, destination: StaticFilesStorage) -> dict[str, list[str]]:
        publication = Publication()
        with suppress(KeyboardInterrupt):
            with (
                quiet(self.verbosity),
                ProgressBar("Sending", hidden=not self.verbosity, leave=True) as bar,
                destination.publishing(bar.follow) as publication,
            ):
                collected = super().collect()
            self._conclude(destination, publication)
            return collected
        tidy_up()
        done = _changed(publication) if publication.sent else "nothing was sent"
        rest = (
            f"The rest is recorded, and manage.py resto_drain sends it in {duration(get_setting('LEASE'))}."
            if destination.record_alias() is not None
            else "Nothing is recorded: run this again, with --clear."
        )
        raise CommandError(f"Interrupted: {done}. {rest}", returncode=INTERRUPTED)

    def _conclude(self, storage: StaticFilesStorage, publication: Publication) -> None:
        is_recorded = storage.record_alias() is not None
        self.log(f"{_changed(publication)}, {publication.unchanged} as before.", level=1)
        if not is_recorded and publication.sent:
            self.log("Nothing is recorded, so that all is sent each time: add 'resto' to INSTALLED_APPS.", level=1)
        if not publication.failures:
            return
        sentences = [*_sentences(publication.failures)]
        sentences.append(
            "They are recorded; manage.py resto_drain sends them later."
            if is_recorded
            else "Nothing is recorded: run this again when all hosts are there."
        )
        if storage.fatal_exceptions:
            raise CommandError("\n".join(sentences))
        self.stderr.write("\n".join(sentences))


def _changed(publication: Publication) -> str:
    sent = publication.sent - publication.removed
    return f"{sent} sent, {publication.removed} removed" if publication.removed else f"{sent} sent"


def _sentences(failures: list[Outcome]) -> Iterator[str]:
    by_host: dict[str, list[Outcome]] = {}
    for outcome in failures:
        by_host.setdefault(outcome.host, []).append(outcome)
    for host, several in by_host.items():
        error = several[0].error
        problem = error.problem if isinstance(error, TransportError) else str(error)
        what = "1 change" if len(several) == 1 else f"{len(several)} changes"
        yield shown(f"{what} did not reach {host}, such as that of {several[0].name}: {problem.rstrip('.')}.")

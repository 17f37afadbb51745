"""Storages of static files: in ``STATIC_ROOT``, and on all hosts."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.utils.deconstruct import deconstructible

from resto.exceptions import ConfigurationError
from resto.master.root import make_root
from resto.outcomes import Outcome
from resto.progress import Meter, Watcher, ignore
from resto.record.changes import current_lease
from resto.record.leases import Lease, forget_leases
from resto.settings import static_root, static_url
from resto.storage import HybridStorage, StorageOptions
from resto.storage.adopting import adopt, end_adoption, is_being_adopted


__all__ = ["ManifestStaticFilesStorage", "Publication", "StaticFilesStorage"]

# Names that are sent at a time.
CHUNK = 200

# Without STATIC_ROOT there is no master copy, and Django's own default would be MEDIA_ROOT. URLs can be made all the same.
NOWHERE = "/nonexistent/STATIC_ROOT"


@dataclass(slots=True)
class Publication:
    """What was changed in the master copy, and what became of the hosts.

    Attributes:
        sent: How many names were changed, and are equal on all hosts now.
        removed: How many of them are there no longer.
        unchanged: How many were written again as they were, and not sent.
        failures: What went wrong, one for each name and host.
        changed: What each name held before; None if there was no such file.
        leases: What holds the rows of each name.
    """

    sent: int = 0
    removed: int = 0
    unchanged: int = 0
    failures: list[Outcome] = field(default_factory=list)
    changed: dict[str, bytes | None] = field(default_factory=dict)
    leases: dict[str, list[Lease]] = field(default_factory=dict)

    def forget(self, names: Iterable[str]) -> None:
        """Remove the rows of the changes of names."""
        forget_leases([lease for name in names for lease in self.leases.pop(name, ())])


@deconstructible(path="resto.staticfiles.StaticFilesStorage")
class StaticFilesStorage(HybridStorage):
    """Keeps static files in ``STATIC_ROOT``, the master copy, and on all hosts. A file that exists is replaced.

    Args:
        hosts: As for `HybridStorage`.
        base_url: Where files are served from; defaults to ``STATIC_URL``.
        location: Directory of the master copy; defaults to ``STATIC_ROOT``.
        file_permissions_mode: As for Django's `FileSystemStorage`.
        directory_permissions_mode: As for Django's `FileSystemStorage`.
        **options: As for `HybridStorage`.
    """

    def __init__(
        self,
        hosts: Any = None,
        base_url: str | None = None,
        location: Any = None,
        *,
        file_permissions_mode: int | None = None,
        directory_permissions_mode: int | None = None,
        **options: Unpack[StorageOptions],
    ) -> None:
        location = static_root() if location is None else location
        super().__init__(
            hosts,
            base_url,
            location or NOWHERE,
            file_permissions_mode=file_permissions_mode,
            directory_permissions_mode=directory_permissions_mode,
            allow_overwrite=True,
            **options,
        )
        self._publication: Publication | None = None

    def _compose(self) -> Any:
        if self.base_location == NOWHERE:
            raise ConfigurationError("STATIC_ROOT is not set", "Set it, or the option 'location'.", "E016")
        return super()._compose()

    def _configured_base_url(self) -> str:
        return static_url() if self._base_url is None else self._base_url

    def path(self, name: str) -> str:
        """Return the absolute path of a file of the master copy.

        Raises:
            NotImplementedError: It is asked for the path of ``""``, by which ``collectstatic --link`` finds out that it can make
                links; hosts would not get them.
        """
        if not name:
            raise NotImplementedError("links to static files cannot be made, as hosts would not get them")
        return super().path(name)

    @contextmanager
    def publishing(self, progress: Watcher = ignore) -> Iterator[Publication]:
        """Let hosts follow at the end only, and only where files differ from before. Not for several threads at once.

        A file that is deleted and saved again is never missing on a host. If this is interrupted, what hosts have missed stays recorded.

        Args:
            progress: Told how far it is, once hosts follow.

        Yields:
            What was done; complete after the block.
        """
        self._adopt_release()
        publication = self._publication = Publication()
        is_interrupted = False
        try:
            yield publication
        except KeyboardInterrupt:
            is_interrupted = True
            raise
        finally:
            self._publication = None
            if not is_interrupted:
                self._publish(publication, Meter(progress, len(self.hosts)))

    def _adopt_release(self) -> None:
        """Let this directory be the master copy, unless it is: each release may have its own, and fills it."""
        if self.belief.aliases():
            make_root(Path(self.location), self._master.directory_permissions_mode)
            problem, known = self.belief.examine()
            if problem is not None or known is None or is_being_adopted(self.location):
                self.recognition.follow(adopt(self.location, self.belief))
                end_adoption(self.location, self.belief)

    def _publish(self, publication: Publication, meter: Meter) -> None:
        # Without a record nobody knows what hosts have missed before, so that all is sent.
        is_recorded = self.record_alias() is not None
        changed = []
        meter.total, meter.is_final = len(publication.changed) * len(self.hosts), True
        for name, before in publication.changed.items():
            if is_recorded and self._digest(name) == before:
                publication.unchanged += 1
                meter.add(len(self.hosts))
            else:
                changed.append(name)
        publication.forget(publication.changed.keys() - set(changed))
        sizes = {name: self._size(name) for name in changed}
        meter.total_bytes = sum(filter(None, sizes.values())) * len(self.hosts)
        for number in range(0, len(changed), CHUNK):
            self._send(changed[number : number + CHUNK], sizes, publication, meter)
        meter.tell()

    def _send(self, names: list[str], sizes: Mapping[str, int | None], publication: Publication, meter: Meter) -> None:
        outcomes = self.repair_each([(host, name) for name in names for host in self.hosts], from_nothing=True)
        by_name: dict[str, list[Outcome]] = {name: [] for name in names}
        for outcome in outcomes:
            size, one_each = sizes[outcome.name], by_name[outcome.name]
            meter.add(1, size if outcome.ok and size else 0)
            one_each.append(outcome)
            if len(one_each) == len(self.hosts):
                failures = [one for one in one_each if not one.ok]
                publication.failures += failures
                publication.sent += not failures
                publication.removed += not failures and size is None
        publication.forget(names)  # what has failed has rows of its own

    def _size(self, name: str) -> int | None:
        with suppress(FileNotFoundError, IsADirectoryError):
            return self._master.size(name)
        return None

    def open_lease(self, name: str, hosts: tuple[str, ...], *, present: bool) -> Lease | None:
        """Record that hosts are about to differ, and what the file is before it does; see `HybridStorage.open_lease`.

        Args:
            name: As for `HybridStorage`.
            hosts: As for `HybridStorage`.
            present: As for `HybridStorage`.
        """
        if self._publication is not None and name not in self._publication.changed:
            self._publication.changed[name] = self._digest(name)
        return super().open_lease(name, hosts, present=present)

    def execute(self, func: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> list[Outcome] | None:
        """Run an action on all hosts, or leave it for the end of `publishing`.

        Args:
            func: As for `HybridStorage`.
            name: As for `HybridStorage`.
            *args: As for `HybridStorage`.
            **kwargs: As for `HybridStorage`.
        """
        publication = self._publication
        if publication is None:
            return super().execute(func, name, *args, **kwargs)
        lease = current_lease()
        if lease is not None:
            publication.leases.setdefault(name, []).append(lease)
        return None

    def _digest(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError, IsADirectoryError), Path(self._master.path(name)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
        return None


@deconstructible(path="resto.staticfiles.ManifestStaticFilesStorage")
class ManifestStaticFilesStorage(ManifestFilesMixin, StaticFilesStorage):  # type: ignore[misc]  # its open() takes names only
    """A `StaticFilesStorage` whose files have a hash in their names, as Django's `ManifestStaticFilesStorage`.

    The manifest is read from the master copy.
    """

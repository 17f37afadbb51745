"""What a storage with a master copy reads: from there, and from hosts what the master copy may lack."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DatabaseError

from resto.exceptions import ConfigurationError
from resto.master.sweep import sweep_all
from resto.names import is_possible
from resto.outcomes import Outcome
from resto.plugins import get_plugin_manager
from resto.record.restores import pending_of
from resto.storage.belief import Belief
from resto.storage.files import RemoteFile
from resto.storage.identified import has_identities
from resto.storage.located import LocatedStorage
from resto.storage.naming import shortened
from resto.storage.reading import download, first_answer, size_on
from resto.storage.verdict import CODE
from resto.transports import Directory


if TYPE_CHECKING:
    from django.core.files import File


__all__ = ["MasteredStorage"]

T = TypeVar("T")

# Seconds for which it is not looked again whether files that are not here may be on hosts.
_LOOKED_FOR = 1


class MasteredStorage(LocatedStorage):
    """A storage that reads from its master copy. Subclasses write.

    What is missing there is read from hosts as long as it is being restored, or the directory is not the master copy.

    Attributes:
        belief: Whether the directory is the master copy.
    """

    can_do_without_hosts = True

    belief: Belief
    _allow_overwrite: bool
    _lacks_until = (0.0, False)

    def _forget_composition(self, *, setting: str, **kwargs: Any) -> None:
        super()._forget_composition(setting=setting, **kwargs)
        self.belief.forget()

    def _owner_of_hosts(self) -> str:
        return self.belief.identity()

    # Files that may be missing here.

    def _may_lack_files(self, *, is_asked_often: bool = False) -> bool:
        """Return whether files that are not here may be on hosts: they are being brought back, or this is another directory.

        Args:
            is_asked_often: Whether an answer of a moment ago will do, as nothing is changed on its account.
        """
        until, lacks = self._lacks_until
        if not is_asked_often or monotonic() >= until:
            lacks = self._looks_incomplete()
            self._lacks_until = monotonic() + _LOOKED_FOR, lacks
        return lacks

    def _looks_incomplete(self) -> bool:
        with suppress(ConfigurationError):  # of the options: whoever writes is told
            if not has_identities(self):
                return False
            try:
                self.belief.require_all(anew=False)
            except ConfigurationError as error:
                return error.code == CODE  # else there is no record yet
            except (OSError, DatabaseError):
                pass
            return self.belief.is_restoring
        return False

    def lacks(self, name: str) -> bool:
        """Return whether the master copy has no file of a name.

        Raises:
            FileNotFoundError: The directory of the master copy is missing.
            ConfigurationError: It is not the master copy.
        """
        return self._master.fingerprint(name) is None

    def is_on_hosts(self, name: str) -> bool:
        """Return whether any host that answers has a file, whatever is pending."""
        return any(outcome.ok and outcome.value for outcome in self._asked(self.hosts, name))

    def _asked(self, hosts: tuple[str, ...], name: str) -> list[Outcome]:
        return self._run_on(get_plugin_manager().executor("thread")(), self._exists, hosts, name)

    def _exists(self, host: str, name: str) -> bool:
        return self.transport_for(host).exists(host, name)

    def _require_restored(self, name: str, mode: str) -> None:
        """Raise if a file is to be changed, or created exclusively, that is still on its way back."""
        if not self._may_lack_files() or not self.lacks(name) or not self._is_to_come_back(name):
            return
        if "x" in mode:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        raise ConfigurationError(f"{name!r} is still to be restored", "Try again later; or write it anew.", "E019")

    def _is_to_come_back(self, name: str) -> bool:
        """Return whether any host that answers has a file that the site has not deleted since."""
        return bool(self._truthful_hosts(name)) and self.is_on_hosts(name)

    def _truthful_hosts(self, name: str) -> tuple[str, ...]:
        """Return the hosts that have missed nothing of a name, or all if none has; none if it was deleted: they may have it still."""
        alias = self.record_alias()
        pending = pending_of([alias], [name]).get(name, ()) if alias is not None else ()
        if pending and not pending[-1].present:
            return ()
        behind = {row.host for row in pending}
        return tuple(host for host in self.hosts if host not in behind) or self.hosts

    def _read(self, action: str, name: str, func: Callable[[str, str], T]) -> T:
        name = self._clean(name)
        hosts = self._truthful_hosts(name)
        if not hosts:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        jobs = (self._guarded_job(action, func, host, name) for host in hosts)
        answer: T = first_answer(action, name, jobs, self.report, self.hosts)
        return answer

    def _opened_elsewhere(self, name: str, mode: str) -> "File[Any]":
        return RemoteFile(name, mode, partial(self._read, "download", name, partial(download, self.transport_for)))

    def browse(self, name: str) -> Directory:
        """Return what a directory of the master copy holds, with the sizes of the files; ``""`` is the root.

        A directory that is missing holds nothing. Those in which other storages keep their files are not told of.

        Raises:
            ConfigurationError: It is the directory of another storage.
            FileNotFoundError: The directory of the master copy is missing.
            OSError: The directory cannot be read.
        """
        self.reserved.require_free(name)
        return self.reserved.leave_out(name, self._master.browse(name))

    def sweep_abandoned(self, check: Callable[[], object]) -> None:
        """Remove from the master copy what killed processes have left there a day ago or earlier.

        Args:
            check: Called for each directory; raises if this is to be stopped.

        Raises:
            FileNotFoundError: The directory of the master copy is missing.
            ConfigurationError: It is not the master copy, and nothing was removed.
        """
        with self._master.proven.changing("") as root:
            sweep_all(root, check)

    def browse_unproven(self, name: str) -> Directory:
        """Do the same, whether the directory proves to be the master copy or not; nothing may be done about what it lacks."""
        self.reserved.require_free(name)
        return self.reserved.leave_out(name, self._master.browse(name, is_proven=False))

    # Django's storage API: reading.

    def exists(self, name: str) -> bool:
        """Return whether there is a file; while files are being restored, a host may have it."""
        if self._reader.exists(name):
            return True
        if not self._may_lack_files(is_asked_often=True):
            return False
        name = self._clean(name)
        if not is_possible(name):
            return False
        return any(outcome.ok and outcome.value for outcome in self._asked(self._truthful_hosts(name), name))

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether a name can be used for a new file."""
        if self._allow_overwrite:
            return self._master.is_name_available(name, max_length=max_length)
        return super().is_name_available(name, max_length=max_length)  # asks `exists`, which a subclass may refine

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        return self._master.get_alternative_name(shortened(file_root, file_ext), file_ext)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        return self._reader.listdir(path)

    def size(self, name: str) -> int:
        try:
            return self._reader.size(name)
        except FileNotFoundError:
            if not self._may_lack_files():
                raise
            return self._read("size", name, partial(size_on, self.transport_for))

    def get_accessed_time(self, name: str) -> datetime:
        return self._reader.get_accessed_time(name)

    def get_created_time(self, name: str) -> datetime:
        return self._reader.get_created_time(name)

    def get_modified_time(self, name: str) -> datetime:
        return self._reader.get_modified_time(name)

"""The probe: uses a host as the site will, with small files of its own, and says what is misconfigured there."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from secrets import token_bytes, token_hex

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError
from resto.executors import Job
from resto.names import TEMPORARY_PREFIX, accented_names, temporary_name
from resto.plugins import get_plugin_manager
from resto.repair.advice import DELETE, LIST, READ, REPLACE, WRITE, WRITE_BELOW, explained
from resto.repair.spellings import shows_as_well
from resto.storage.finding import replicated_storages
from resto.transports import Transport
from resto.transports.http import HttpTransport


__all__ = ["HostProbe", "probe_hosts"]

# Bytes. More than nginx takes by default, which is 1 MiB.
_LARGE = 2 * 1024 * 1024

# Seconds before each look at a file that is being replaced: a server may take a moment to open it.
_LOOKS = (0, 0.05, 0.1)

# In the probe's directory. Not a temporary name: nginx leaves names that start with a dot out of its listings.
_LISTED = "probe"

# Where directories are not removed, each probe uses the same, so that they do not pile up.
_KEPT_DIRECTORY = f"{TEMPORARY_PREFIX}probe"

_DIRECTORY_STAYS = (
    f"The empty directory {_KEPT_DIRECTORY!r} may stay on the host, where resto removes no directories; "
    "each probe uses the same."
)

_DIRECTORIES = (
    "What the host does with the name of a directory cannot be found out, so that it is asked before each deletion"
)

_DELETES_DIRECTORIES = (
    "Where a directory has the name of a file that is deleted, the host would delete all that is in it: it is asked before each "
    "deletion, which takes a request more; let the server refuse to delete directories if that is too slow."
)

_FOLDS_CASE = (
    "Names that differ by upper and lower case only are one file there: of two such files the host keeps the one that was written "
    "last; serve a disk that tells them apart."
)

_FOLDS_FORMS = (
    "Names that differ by the form of Unicode only, in which letters with accents are one character or two, are one file there: of two "
    "such files the host keeps the one that was written last."
)

_SUSPICION = "; does a cache, a proxy or an application answer in the place of the media server?"

# By whether the host is a server.
_AGAINST_IN_PLACE = {
    True: "take the transport 'webdav' with 'publish': 'move'.",
    False: "does its transport have an option against that?",
}


@dataclass(frozen=True, slots=True)
class HostProbe:
    """What came of using one host of one storage.

    Attributes:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.
        problem: What does not work, and what to do about it, a sentence; empty if everything works.
        remarks: What one should know although it works, and what the probe has left behind; sentences.
    """

    storage: str
    host: str
    problem: str
    remarks: tuple[str, ...] = ()


def probe_hosts(aliases: Sequence[str] = (), hosts: Sequence[str] = ()) -> list[HostProbe]:
    """Write, read, list, replace and delete small files of the probe's own on every host, whatever its breaker says.

    It is done in this process, whichever executor a storage has. Nothing is logged, and nothing recorded but what hosts do with
    directories.

    Args:
        aliases: Of storages; all of resto's if there are none.
        hosts: As they stand in the settings; all if there are none.

    Raises:
        ConfigurationError: The settings of a storage are wrong.
    """
    found = replicated_storages(aliases)
    probes = [
        _Probe(alias, host, {one: storage.transport_for(one) for one in storage.hosts})
        for alias, storage in found.items()
        for host in storage.hosts
        if not hosts or host in hosts
    ]
    outcomes = get_plugin_manager().executor("thread")().run([Job("probe", one.host, "", one.run) for one in probes])
    for one in probes:
        found[one.storage].recognition.trials.keep(one.host)
    return [one.result(outcome.error) for one, outcome in zip(probes, outcomes, strict=True)]


class _MisconfiguredError(Exception):
    """Something does not work; a sentence."""


class _Probe:
    """Uses one host, and keeps in mind what is to be removed from it."""

    def __init__(self, storage: str, host: str, transports: Mapping[str, Transport]) -> None:
        self.storage = storage
        self.host = host
        self._transport = transport = transports[host]
        self._others = {one: other for one, other in transports.items() if one != host}
        self._is_server = isinstance(transport, HttpTransport)  # of others it is not known what to look at
        self._content = token_bytes(64)
        self._directory = temporary_name("")
        self._listed = f"{_LISTED}-{token_hex(8)}"  # others may use the same directory
        self._left: dict[str, bool] = {}  # what may be there -> whether the host has said so
        self._remarks: list[str] = []

    def run(self) -> None:
        """Use the host up to the first problem, and remove what that has left there.

        Raises:
            _MisconfiguredError: Something does not work.
        """
        try:
            self._use()
        finally:
            self._clean_up()

    def result(self, error: Exception | None) -> HostProbe:
        """Return what came of it.

        Args:
            error: What ended it, if anything has.
        """
        if error is None or isinstance(error, _MisconfiguredError):
            problem = str(error or "")
        else:
            problem = self._explained("It cannot be probed", error)
        return HostProbe(self.storage, self.host, problem, tuple(self._remarks))

    def _use(self) -> None:
        name = temporary_name("")
        self._write(WRITE, name, self._content)
        self._read(name)
        self._look_for_other_case(name)
        self._look_elsewhere(name)
        self._delete(name)
        # A host says whether it removes directories when it is asked for one that is not there.
        if not self._succeeds(self._transport.remove_directory, self._directory):
            self._directory = _KEPT_DIRECTORY
        below = f"{self._directory}/{self._listed}"
        self._left[self._directory] = False
        self._write(WRITE_BELOW, below, self._content)
        self._left[self._directory] = True
        self._list()
        self._replace(below)
        self._delete(below)
        self._try_directories()
        self._look_for_other_form()  # now that it is known that files can be deleted
        self._write_without_credentials()

    def _write(self, step: str, name: str, content: bytes | io.BytesIO) -> None:
        self._left.setdefault(name, False)
        with self._explaining(step):
            try:
                self._transport.create(self.host, name, content)
            except HostUnavailableError as error:
                if not (error.ambiguous or self._left[name]):
                    del self._left[name]  # nothing was sent
                raise
        self._left[name] = True

    def _read(self, name: str) -> None:
        with self._explaining(READ):
            self._transport.size(self.host, name)
            content = self._read_start(name)
        if content != self._content:
            raise _MisconfiguredError(f"{READ}: the host answers something else{self._suspicion()}")

    def _look_for_other_case(self, name: str) -> None:
        if self._succeeds(partial(shows_as_well, self._transport), name.swapcase()):
            self._remarks.append(_FOLDS_CASE)

    def _look_for_other_form(self) -> None:
        name, other = accented_names()
        self._left[name] = False
        if self._succeeds(lambda host, name: self._transport.create(host, name, self._content) or True, name):
            self._left[name] = True
            if self._succeeds(partial(shows_as_well, self._transport), other):
                self._remarks.append(_FOLDS_FORMS)
        if self._is_removed(name):
            del self._left[name]

    def _look_elsewhere(self, name: str) -> None:
        """Ask all other hosts for a file that only this one should have."""
        showing = [host for host, transport in self._others.items() if _shows(transport, host, name)]
        if showing:
            raise _MisconfiguredError(
                f"A file that was written here only is shown by {' and '.join(showing)}, too: is that the same server, or does a "
                "fallback or a balancer answer there for this one? Give the address of each server itself."
            )

    def _read_start(self, name: str) -> bytes:
        content = b""
        with self._transport.open(self.host, name) as stream:
            while len(content) <= len(self._content) and (block := stream.read(len(self._content) + 1)):
                content += block
        return content

    def _delete(self, name: str) -> None:
        with self._explaining(DELETE):
            self._transport.delete(self.host, name)
            is_there = self._transport.exists(self.host, name)
        if is_there:
            raise _MisconfiguredError(
                f"{DELETE}: the host says that {name!r} is gone, and that it is there{self._suspicion()}"
            )
        del self._left[name]

    def _list(self) -> None:
        try:
            files = self._listed_files()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._remarks.append(self._explained(LIST, error))
            return
        if files is not None and self._listed not in files:
            self._remarks.append(f"{LIST}: a file that is there is not listed.")

    def _listed_files(self) -> list[str] | None:
        if self._transport.supports_listdir:
            return self._transport.listdir(self.host, self._directory)[1]
        directory = self._transport.browse(self.host, self._directory)
        return None if directory is None else list(directory.files)

    def _replace(self, name: str) -> None:
        seen: list[bool] = []
        self._write(REPLACE, name, _WatchedContent(bytes(_LARGE), lambda: seen.append(self._keeps(name))))
        with self._explaining(REPLACE):
            stored = self._transport.size(self.host, name)
        if stored != _LARGE:
            raise _MisconfiguredError(f"{REPLACE}: the host has kept {stored} of {_LARGE} bytes; is its disk full?")
        if seen == [False]:
            self._remarks.append(
                "While a file is replaced, the old one is not served: uploads seem to be written in place, so that readers may "
                "get half a file, and one that is cut off leaves half a file; " + _AGAINST_IN_PLACE[self._is_server]
            )

    def _keeps(self, name: str) -> bool:
        """Tell whether the host goes on to serve the old file while a new one is on its way."""
        for delay in _LOOKS:
            time.sleep(delay)
            try:
                if self._read_start(name) != self._content:
                    return False
            except Exception:  # noqa: BLE001 - a plugin may raise anything
                return False
        return True

    def _try_directories(self) -> None:
        try:
            trial = self._transport.try_directories(self.host)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._remarks.append(self._explained(_DIRECTORIES, error))
            return
        if trial is not None and not trial.spares:
            self._remarks.append(_DELETES_DIRECTORIES)

    def _write_without_credentials(self) -> None:
        stranger = self._transport.without_credentials()
        if stranger is None:
            return
        if stranger is self._transport:
            self._remarks.append(
                "No credentials are configured: any machine whose address the host accepts can write there."
            )
            return
        name = temporary_name("")
        self._left[name] = False
        try:
            stranger.create(self.host, name, self._content)
        except Exception:  # noqa: BLE001 - it should be refused, and a plugin may raise anything
            return
        finally:
            stranger.close()
        self._left[name] = True
        raise _MisconfiguredError(
            "Anyone can write there: credentials are configured, and the host took a file without them; let the server ask for them."
        )

    @contextmanager
    def _explaining(self, step: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a plugin may raise anything
            raise _MisconfiguredError(self._explained(step, error)) from error

    def _explained(self, step: str, error: Exception) -> str:
        return explained(step, error, is_server=self._is_server)

    def _suspicion(self) -> str:
        return _SUSPICION if self._is_server else "."

    def _clean_up(self) -> None:
        left = self._left
        if self._directory in left and self._succeeds(self._remove_directory, self._directory):
            left = {name: is_known for name, is_known in left.items() if name.partition("/")[0] != self._directory}
        for name, is_known in reversed(left.items()):  # files before their directory
            if not self._is_removed(name) and is_known:
                self._remarks.append(
                    _DIRECTORY_STAYS
                    if name == _KEPT_DIRECTORY
                    else f"The probe has left {name!r} on the host: remove it there."
                )

    def _remove_directory(self, host: str, name: str) -> bool:
        return name != _KEPT_DIRECTORY and self._transport.remove_directory(host, name)

    def _is_removed(self, name: str) -> bool:
        if name == self._directory:
            return self._succeeds(self._lacks_directory, name)
        return self._succeeds(lambda host, name: self._transport.delete(host, name) or True, name)

    def _lacks_directory(self, host: str, name: str) -> bool:
        # Some stores have no directories of their own, but only names with slashes. `exists` tells of files only.
        with suppress(RemoteFileNotFoundError):
            self._transport.browse(host, name)
            return False
        return True

    def _succeeds(self, act: Callable[[str, str], bool], name: str) -> bool:
        try:
            return act(self.host, name)
        except Exception:  # noqa: BLE001 - a plugin may raise anything
            return False


def _shows(transport: Transport, host: str, name: str) -> bool:
    try:
        return transport.exists(host, name)
    except Exception:  # noqa: BLE001 - what is wrong with that host is told by its own probe
        return False


class _WatchedContent(io.BytesIO):
    """Content that calls a function once, when more than half of it was taken to be sent."""

    def __init__(self, content: bytes, watch: Callable[[], None]) -> None:
        super().__init__(content)
        self._half = len(content) // 2
        self._watch: Callable[[], None] | None = watch

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        watch = self._watch
        if watch is not None and self.tell() > self._half:
            self._watch = None
            watch()
        return block

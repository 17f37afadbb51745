"""The contract of transports."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from resto.exceptions import TransportError
from resto.names import HOST_IDENTITY, MASTER_IDENTITY, problem_of_part, problems_of_parts
from resto.transports.parts import FilePart, Version


__all__ = ["FILE_OF_TRIAL", "Directory", "Entry", "Transport", "Trial", "modified_of"]


# Of resto's own, and nobody's concern.
_IDENTITIES = (HOST_IDENTITY, MASTER_IDENTITY)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a host lists.

    Attributes:
        name: The file's name.
        size: In bytes; None if the host does not say.
        modified: Aware, usually with a resolution of one second; None if the host does not say.
        etag: Opaque; equal tags do not prove equal content, on no server. None if the host does not say.
    """

    name: str
    size: int | None
    modified: datetime | None
    etag: str | None


@dataclass(slots=True)
class Directory:
    """What a directory holds, directly, by the last parts of the names.

    Attributes:
        directories: The directories in it.
        files: The files in it -> their sizes in bytes; None where that is not known.
        others: What is in it and cannot be one of resto's files or directories -> the reason, a sentence fragment.
    """

    directories: set[str] = field(default_factory=set)
    files: dict[str, int | None] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, directories: set[str], files: dict[str, int | None]) -> "Directory":
        """Return a directory that holds what a host lists, each where it belongs; quicker than `add` for each.

        Args:
            directories: What the host calls the directories in it. The set becomes that of the directory.
            files: What the host calls the files in it -> sizes in bytes; None if not known. The same holds for it.
        """
        others = problems_of_parts([*directories, *files])
        for name in others:
            directories.discard(name)
            files.pop(name, None)
        return cls(directories, files, {name: why for name, why in others.items() if name not in _IDENTITIES})

    def add(self, name: str, size: int | None, *, is_directory: bool) -> None:
        """Put something that a host lists where it belongs.

        Args:
            name: What the host calls it.
            size: In bytes; None if it is not known.
            is_directory: Whether it is a directory.
        """
        problem = problem_of_part(name)
        if name in _IDENTITIES:
            return
        if problem is not None:
            self.others[name] = problem
        elif is_directory:
            self.directories.add(name)
        else:
            self.files[name] = size


# In the directory of a trial: some servers show such a file in the place of its directory.
FILE_OF_TRIAL = "index.html"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a host does with the name of a directory, as it has shown with one that was made to find out.

    Attributes:
        spares: Whether the directory stays where it is, with or without a file in it, when a file of its name is to be deleted.
        tells: What distinguishes an answer about a directory from one about a file, in words of the transport; empty if nothing does.
        looks: What the answers looked like, in words of the transport: where others come, there may be another server.
        tried: When, in seconds since the epoch.
    """

    spares: bool
    tells: str
    looks: tuple[str, ...]
    tried: float


class Transport(ABC):
    """Speaks one protocol to hosts.

    A transport is built as ``Transport(base_url, *, timeout, **options)``, without network access. Its methods block, may
    be called from several threads at once, also in a forked child, and get names in canonical form
    (`resto.names.clean_name`). `resto.testing.TransportContract` tries what is promised here.

    Every method that acts raises `TransportError`, or one of its subclasses, when the host fails, and nothing else:
    `HostUnavailableError` when it gives no answer, and only then. A host that does so repeatedly is not asked for a while.
    An error tells host and name as the method got them, and the action: the name of the method, except for ``"upload"``
    (`create`), ``"download"`` (`open`, `open_part` and `content`) and ``"listdir"`` (`browse`).
    ``timeout`` bounds how long a host may stay silent: while connecting, and at each read or write.

    Attributes:
        base_url: Where files are served from; may be lazy, then it is evaluated at the first use.
        timeout: In seconds.
        supports_listdir: Whether `listdir` works.
        supports_modified_time: Whether `modified_time` works.
        supports_scan: Whether `scan` works.
        supports_parts: Whether `open_part` works.
        has_literal_credentials: Whether the options hold a credential instead of the name of one.
    """

    supports_listdir = False
    supports_modified_time = False
    supports_scan = False
    supports_parts = False
    has_literal_credentials = False

    def __init__(self, base_url: str, *, timeout: float = 2) -> None:
        self.base_url = base_url
        self.timeout = timeout

    # What a transport may refine.

    def identify(self, host: str) -> str:
        """Return what two spellings of the same host have in common.

        Raises:
            ConfigurationError: This transport cannot reach such a host.
        """
        return host

    def public_url(self, host: str) -> str | None:
        """Return the URL below which visitors find the files of a host; it ends with ``/``. None if they do not."""
        return None

    def local_path(self, host: str) -> str | None:
        """Return the path of the directory of this machine that is a host; None if the host is no such directory."""
        return None

    def close(self) -> None:  # noqa: B027 - a transport that holds nothing has nothing to release
        """Release connections and other resources, as often as it is called. The transport stays usable."""

    def tidy_up(self) -> None:  # noqa: B027 - as above
        """Remove from hosts what uploads have left there that were interrupted in this process; hosts that fail are left alone."""

    def content(self, host: str, name: str) -> bytes:
        """Return the content of a file, in one piece.

        Raises:
            RemoteFileNotFoundError: The host does not have the file.
        """
        with self.open(host, name) as stream:
            return stream.read()

    def without_credentials(self) -> "Transport | None":
        """Return a transport that does the same and does not prove who it is; this one, if it has no credentials.

        Returns:
            None if it is not known what to leave out.
        """
        return None

    def exposes_credentials(self, host: str) -> bool:
        """Return whether requests to a host show the network a secret, with which it can send others."""
        return False

    def remove_directory(self, host: str, name: str) -> bool:
        """Remove a directory that nobody else uses (`resto.names.temporary_name`), with all that is in it.

        Returns:
            False if directories of this host are not removed; True if there is none of that name any more.

        Raises:
            ValueError: The name is not a temporary one, so that the directory may be one of the site.
        """
        return False

    def try_directories(self, host: str) -> Trial | None:
        """Find out, with a temporary directory that is removed again, what a host does with the name of a directory.

        Returns:
            None if there is nothing to be found out, as in a protocol that tells files from directories by itself.
        """
        return None

    def trial(self, host: str) -> Trial | None:
        """Return what a host has shown, in this process or another one, without asking it.

        Returns:
            None if that is not known, or not any more: it is long ago, or the host looks different since.
        """
        return None

    def believe(self, host: str, trial: Trial) -> None:  # noqa: B027 - as for `close`
        """Learn what a host has shown to another process, unless something newer is known.

        Args:
            host: The host as it stands in the settings.
            trial: As `trial` has returned it there.
        """

    def browse(self, host: str, name: str) -> Directory | None:
        """Return what a directory of a host holds, with the sizes of the files; ``""`` is the root.

        Where `listdir` works, this makes do with it, without sizes: whoever wants one asks for it, file by file.

        Returns:
            None if this host does not list its directories, at least not this one.

        Raises:
            RemoteFileNotFoundError: The host does not have the directory.
        """
        if not self.supports_listdir:
            return None
        directories, files = self.listdir(host, name)
        return Directory.of(set(directories), dict.fromkeys(files))

    # What a transport must implement.

    @abstractmethod
    def open(self, host: str, name: str) -> BinaryIO:
        """Return a stream of the content of a file, to be read once and closed.

        Reading raises `TransportError` when the host breaks off; a stream never ends early in silence, nor holds the whole
        file in memory. Other actions may come before its end.

        Raises:
            RemoteFileNotFoundError: The host does not have the file.
        """

    @abstractmethod
    def exists(self, host: str, name: str) -> bool:
        """Return whether the host has the file. Only a host that says so makes it False, never a failure."""

    @abstractmethod
    def size(self, host: str, name: str) -> int:
        """Return the size of a file, in bytes.

        Raises:
            RemoteFileNotFoundError: The host does not have the file.
        """

    @abstractmethod
    def create(self, host: str, name: str, content: bytes | BinaryIO) -> bool:
        """Create or replace a file, and make the directories that it needs. Never replaces a directory.

        Args:
            host: The host as it stands in the settings.
            name: The file's name.
            content: Bytes, or a file open for reading, which is sent from its start to its end and not closed, without
                ever being in memory as a whole; one that cannot be rewound is sent from where it is. The bytes that a file
                has in an attribute ``at_hand`` are all of it: they may be sent instead, at once and no later. A method
                ``send_to`` of a file sends a part of it to a socket, as `os.sendfile` does, and may be used instead of reading:
                it is told the descriptor of the socket, where the part begins, and how many bytes it has.

        Returns:
            True if the host says that the file existed, False otherwise.

        Raises:
            Exception: Of any kind but `HostUnavailableError`: the content cannot be read to its end.
        """

    @abstractmethod
    def delete(self, host: str, name: str) -> bool:
        """Delete a file, if it is there. Never deletes a directory.

        Returns:
            True if the file existed, False if it did not.
        """

    # What a transport may implement; the attribute of the same name says whether it does.

    def listdir(self, host: str, name: str) -> tuple[list[str], list[str]]:
        """Return the names of the directories and of the files in a directory; ``""`` is the root.

        Raises:
            RemoteFileNotFoundError: The host does not have the directory.
        """
        raise self._unsupported(host, name, "listdir")

    def modified_time(self, host: str, name: str) -> datetime:
        """Return when a file was last modified, aware.

        Raises:
            RemoteFileNotFoundError: The host does not have the file.
        """
        raise self._unsupported(host, name, "modified_time")

    def age(self, host: str, name: str) -> timedelta:
        """Return how long ago a file was last modified, by the clock of the host if it tells the time; where `modified_time` works.

        Raises:
            RemoteFileNotFoundError: The host does not have the file.
        """
        return datetime.now(UTC) - self.modified_time(host, name)

    def scan(self, host: str, prefix: str) -> Iterator[Entry]:
        """Yield all files below a directory, in no particular order, in memory bounded by the largest directory.

        Of a directory that the host does not have, there are none, or there is a `RemoteFileNotFoundError`.
        """
        raise self._unsupported(host, prefix, "scan")

    def open_part(self, host: str, name: str, start: int, end: int | None, version: Version | None = None) -> FilePart:
        """Return a part of a file; or, if no version is given, the whole file where the host gives no parts.

        The stream of a part brings neither less nor more than that part.

        Args:
            host: The host as it stands in the settings.
            name: The file's name.
            start: Where it begins, in bytes: 0, or before the end of the file.
            end: Where it ends: before this byte, or with the file if that comes first. None for the end of the file.
            version: Of which version it must be, as the same host has told it.

        Raises:
            RemoteFileChangedError: The host has another version by now.
            RemoteFileNotFoundError: The host does not have the file.
        """
        raise self._unsupported(host, name, "download")

    def _unsupported(self, host: str, name: str, action: str) -> TransportError:
        return TransportError(host, name, action, f"{type(self).__name__} cannot do this")


def modified_of(stream: BinaryIO) -> datetime | None:
    """Return when the file that a stream brings was last modified, aware; None if the stream does not say.

    Args:
        stream: As `Transport.open` returns it. It says so in an attribute ``modified`` of its own, or of its ``raw`` stream.
    """
    raw = getattr(stream, "raw", stream)
    modified = getattr(raw, "modified", None)
    return modified if isinstance(modified, datetime) else None

"""The probe: uses a host as the site will, with small files of its own, and says what is misconfigured there."""

import io
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_bytes, token_hex

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.executors import Job
from resto.names import TEMPORARY_PREFIX, temporary_name
from resto.plugins import get_plugin_manager
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

# What the probe does. Each is the beginning of a sentence.
_WRITE = "A file cannot be written"
_READ = "A file that was written cannot be read"
_DELETE = "A file cannot be deleted"
_WRITE_BELOW = "A file cannot be written into a new directory"
_REPLACE = "A file cannot be replaced by one of 2 MiB"
_LIST = "Its directories cannot be listed"

_REDIRECT = "redirects are not followed, so give the URL that it redirects to, perhaps with https://"
_OTHER = "something else than the media server answers, such as an application, or a site for unknown hostnames; correct the URL"
_PARENTS = "let the server make missing directories (nginx: create_full_put_path on), or take the transport 'webdav' and let it MKCOL"

_ADVICE: Mapping[tuple[str, int], str] = {
    (_WRITE, 404): "does the directory of the host's URL exist, and does the server take uploads there?",
    (_WRITE, 409): "make the directory of the host's URL on the server, or correct the URL",
    (
        _WRITE,
        500,
    ): "may the server's user write to the directory of the host's URL, is there one, and is the disk full? Its error log tells",
    (_WRITE_BELOW, 403): _PARENTS,
    (_WRITE_BELOW, 404): _PARENTS,
    (_WRITE_BELOW, 409): _PARENTS,
    (_WRITE_BELOW, 500): _PARENTS,
    (_DELETE, 405): "let the server DELETE (nginx: dav_methods)",
    (_DELETE, 409): "let the server delete files at this depth (nginx: a smaller min_delete_depth)",
    (_READ, 403): "let the server's user read what it writes, and this machine read from the server",
}

_ADVICE_FOR_ALL: Mapping[int, str] = {
    200: _OTHER,
    202: _OTHER,
    301: _REDIRECT,
    302: _REDIRECT,
    303: _REDIRECT,
    307: _REDIRECT,
    308: _REDIRECT,
    400: "does the server want https://, a client certificate, or another hostname?",
    401: "name its credentials in the transport option 'auth', let RESTO_SECRETS hold what the server's password file has, and set 'auth_scheme' to 'digest' if it wants that",
    403: "let the server take this from this machine's address, and with these credentials, if it has any; and its user write to its directory",
    405: "let the server do this (nginx: dav_methods PUT DELETE MKCOL MOVE; Apache: Dav On), or free its disk (rclone and Caddy say so when it is full)",
    413: "raise the limit of the server, or of the proxy before it (nginx: client_max_body_size 0; Apache: LimitRequestBody)",
    501: "the server has no such method: is it a media server?",
}

# For hosts that give no answer.
_ADVICE_FOR_SILENCE: Mapping[str, str] = {
    _WRITE: "is the server running, and is this its address?",
    _REPLACE: "does the server, or a proxy before it, end long uploads, or is the 'timeout' too short?",
}

_SUSPICION = "; does a cache, a proxy or an application answer in the place of the media server?"

# By whether the host is a server.
_AGAINST_IN_PLACE = {
    True: "take the transport 'webdav' with 'publish': 'move'.",
    False: "does its transport have an option against that?",
}

# OpenSSL's codes (X509_V_ERR_*).
_ADVICE_FOR_CERTIFICATES: Mapping[int, str] = {
    9: "the clocks of the two machines differ, or it is not in force yet",
    10: "renew it",
    62: "give the host the name that its certificate is for",
    64: "give the host the name that its certificate is for",
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


def probe_hosts(aliases: Sequence[str] = ()) -> list[HostProbe]:
    """Write, read, list, replace and delete small files of the probe's own on every host, whatever its breaker says.

    It is done in this process, whichever executor a storage has. Nothing is logged or recorded.

    Args:
        aliases: Of storages; all of resto's if there are none.

    Raises:
        ConfigurationError: The settings of a storage are wrong.
    """
    probes = [
        _Probe(alias, host, storage.transport_for(host))
        for alias, storage in replicated_storages(aliases).items()
        for host in storage.hosts
    ]
    outcomes = get_plugin_manager().executor("thread")().run([Job("probe", one.host, "", one.run) for one in probes])
    return [one.result(outcome.error) for one, outcome in zip(probes, outcomes, strict=True)]


class _MisconfiguredError(Exception):
    """Something does not work; a sentence."""


class _Probe:
    """Uses one host, and keeps in mind what is to be removed from it."""

    def __init__(self, storage: str, host: str, transport: Transport) -> None:
        self._storage = storage
        self.host = host
        self._transport = transport
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
        return HostProbe(self._storage, self.host, problem, tuple(self._remarks))

    def _use(self) -> None:
        name = temporary_name("")
        self._write(_WRITE, name, self._content)
        self._read(name)
        self._delete(name)
        # A host says whether it removes directories when it is asked for one that is not there.
        if not self._succeeds(self._transport.remove_directory, self._directory):
            self._directory = _KEPT_DIRECTORY
        below = f"{self._directory}/{self._listed}"
        self._left[self._directory] = False
        self._write(_WRITE_BELOW, below, self._content)
        self._left[self._directory] = True
        self._list()
        self._replace(below)
        self._delete(below)
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
        with self._explaining(_READ):
            self._transport.size(self.host, name)
            content = self._read_start(name)
        if content != self._content:
            raise _MisconfiguredError(f"{_READ}: the host answers something else{self._suspicion()}")

    def _read_start(self, name: str) -> bytes:
        content = b""
        with self._transport.open(self.host, name) as stream:
            while len(content) <= len(self._content) and (block := stream.read(len(self._content) + 1)):
                content += block
        return content

    def _delete(self, name: str) -> None:
        with self._explaining(_DELETE):
            self._transport.delete(self.host, name)
            is_there = self._transport.exists(self.host, name)
        if is_there:
            raise _MisconfiguredError(
                f"{_DELETE}: the host says that {name!r} is gone, and that it is there{self._suspicion()}"
            )
        del self._left[name]

    def _list(self) -> None:
        try:
            files = self._listed_files()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._remarks.append(self._explained(_LIST, error))
            return
        if files is not None and self._listed not in files:
            self._remarks.append(f"{_LIST}: a file that is there is not listed.")

    def _listed_files(self) -> list[str] | None:
        if self._transport.supports_listdir:
            return self._transport.listdir(self.host, self._directory)[1]
        directory = self._transport.browse(self.host, self._directory)
        return None if directory is None else list(directory.files)

    def _replace(self, name: str) -> None:
        seen: list[bool] = []
        self._write(_REPLACE, name, _WatchedContent(bytes(_LARGE), lambda: seen.append(self._keeps(name))))
        with self._explaining(_REPLACE):
            stored = self._transport.size(self.host, name)
        if stored != _LARGE:
            raise _MisconfiguredError(f"{_REPLACE}: the host has kept {stored} of {_LARGE} bytes; is its disk full?")
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
        return _explained(step, error, is_server=self._is_server)

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


def _explained(step: str, error: Exception, *, is_server: bool) -> str:
    """Return what happened, and what to do about it, as one sentence."""
    if not isinstance(error, TransportError):
        # Without its text, which may hold a secret.
        return (
            f"{step}: the transport raised {type(error).__name__}, which it must not; look for a newer version of it."
        )
    happened, advice = error.problem, _advice(step, error, is_server=is_server)
    if isinstance(error, UnexpectedStatusCode) and advice:
        happened = happened.partition(": ")[0]  # what follows is what may have caused it in general
    sentence = f"{step}: {happened}; {advice}" if advice else f"{step}: {happened}"
    return sentence if sentence.endswith(("?", ".")) else f"{sentence}."


def _advice(step: str, error: TransportError, *, is_server: bool) -> str:
    if isinstance(error, UnexpectedStatusCode):
        return _ADVICE.get((step, error.status)) or ("" if step == _LIST else _ADVICE_FOR_ALL.get(error.status, ""))
    if isinstance(error, RemoteFileNotFoundError):
        place = ("server", "directory") if is_server else ("host", "place")
        return "does the {} read from another {} than it writes to?".format(*place)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _ADVICE_FOR_CERTIFICATES.get(cause.verify_code, "give its authority as 'ca_bundle'")
        if isinstance(cause, ssl.SSLError):
            return "does the server speak http:// there, or does it want a client certificate ('client_cert')?"
    # Whether it runs, and has this address, may be no question: of a disk, for example. Its transport has said what is wrong.
    if isinstance(error, HostUnavailableError) and (is_server or step != _WRITE):
        return _ADVICE_FOR_SILENCE.get(step, "")
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__

"""What is known of a host: which server answers, and what it does with the name of a directory, as a trial has shown.

What a DELETE of a collection does is not told by the name of a server: another one may stand behind it.
"""

import secrets
import time
from contextlib import suppress
from dataclasses import replace

from resto.courses import Course
from resto.exceptions import TransportError
from resto.names import temporary_name
from resto.transports.base import FILE_OF_TRIAL, Trial
from resto.transports.bodies import Body
from resto.transports.messages import NoAnswerError, Request, Response, Steps, Wire
from resto.transports.steps import (
    ABSENT,
    OF_ONE_FILE,
    Action,
    close_stream,
    collection,
    is_dated,
    server_product,
    unlocked,
)


__all__ = ["DAY", "RETRY", "Acquaintance", "AttentiveWire", "learn", "try_directories"]

# Seconds for which it is believed what a trial has shown, and after which one that has shown nothing certain is repeated.
DAY, RETRY = 24 * 60 * 60, 60

# What says nothing of directories: who asks must prove who it is, or it is too early.
_DEFERRED = frozenset({401, 407, 408, 421, 423, 425, 429})

# How many different looks of the answers of one host are kept, and how many characters of each.
_MAX_LOOKS, _MAX_LOOK = 8, 200

# What tells an answer about a directory from one about a file, if it is not its status: it has no date.
_UNDATED = "undated"

# What no server says of a file that is there.
_OF_DIRECTORIES = frozenset({207, 301, 302, 307, 308, 405})

clock = time.time  # injected by tests


class Acquaintance:
    """What is known of one host.

    Attributes:
        product: The server's own, as its last answers have named it, in lower case; None before the first one.
        problem: Why a trial has shown nothing, a sentence fragment; empty if it has.
    """

    def __init__(self) -> None:
        self.product: str | None = None
        self.problem = ""
        self._server: str | None = None
        self._trial: Trial | None = None
        self._is_certain = False
        self._until = 0.0  # what was tried is believed
        self._doubted = 0.0  # what was tried before is not believed any more
        self._look, self._seen = "", 0.0  # what the last answer to a write looked like, and when that was
        self._begun = self._failed = 0.0
        self._rests = False  # trials leave something there

    @property
    def trial(self) -> Trial | None:
        """What a trial has shown that is believed for a day; None if there is none."""
        return self._trial if self._is_certain and self._is_believed() else None

    @property
    def spares_directories(self) -> bool:
        """Whether the host is known to refuse that a directory is deleted in the place of a file."""
        trial = self._trial
        return trial is not None and trial.spares and self._is_believed()

    @property
    def is_due(self) -> bool:
        """Whether it is time for a trial, although nothing depends on it: nothing is known, and none was made in the last minute."""
        return self.may_be_tried and self.trial is None and not (self._was(self._failed) or self._was(self._begun))

    @property
    def may_be_tried(self) -> bool:
        """Whether a trial would not leave something there again."""
        return not (self._rests and self._was(self._failed, DAY))

    def shows_file(self, response: Response) -> bool:
        """Tell whether an answer to HEAD can only be that of a file.

        Args:
            response: The answer.
        """
        trial = self._trial if self._is_believed() else None
        if trial is None or response.status != 200:
            return False
        return bool(trial.tells) and not (_UNDATED in trial.tells and _is_undated(response))

    def shows_directory(self, response: Response) -> bool:
        """Tell whether an answer to HEAD can only be that of a directory.

        Args:
            response: The answer.
        """
        trial = self._trial if self._is_believed() else None
        is_told = trial is not None and str(response.status) in trial.tells.split()
        return is_told and response.status in _OF_DIRECTORIES

    def begin(self) -> None:
        """Take note that a trial begins."""
        self._begun = clock()

    def fail(self, problem: str, *, leaves: bool = False) -> None:
        """Take note that a trial was not possible; what the last one has shown is believed for a while longer.

        Args:
            problem: Why, a sentence fragment.
            leaves: Whether it has left something there, so that there is none for a day.
        """
        self._failed, self._rests, self.problem = clock(), leaves, problem
        if self._is_certain and not self._doubted:
            self._until = self._failed + RETRY

    def take(self, trial: Trial, *, is_certain: bool) -> None:
        """Believe what a trial has shown: for a day, if it is certain.

        Args:
            trial: What it has shown.
            is_certain: Whether another one would show the same.
        """
        before = self._trial
        # A host may have several looks, such as behind two proxies.
        if before is not None and (before.spares, before.tells) == (trial.spares, trial.tells):
            trial = replace(trial, looks=tuple(dict.fromkeys([*before.looks, *trial.looks]))[-_MAX_LOOKS:])
        self._trial, self._is_certain, self._doubted = trial, is_certain, 0.0
        self._until = trial.tried + (DAY if is_certain else RETRY)
        self._begun, self._failed = 0.0, 0.0 if is_certain else clock()
        self.problem = "" if is_certain else "its answers leave it open"

    def hear(self, trial: Trial) -> None:
        """Believe what a trial of another process has shown, unless something newer is known.

        Args:
            trial: What it has shown.
        """
        before = self._trial if self._is_certain else None
        is_doubtful = trial.tried <= self._doubted or (self._look not in trial.looks and trial.tried <= self._seen)
        # One of the future is from a clock that was wrong, or is.
        if not is_doubtful and (0 if before is None else before.tried) < trial.tried <= clock():
            self._trial, self._is_certain, self._doubted = trial, True, 0.0
            self._until = trial.tried + DAY

    def notice(self, request: Request, response: Response) -> None:
        """Learn from an answer which server the host runs, and doubt what a trial has shown if it looks otherwise.

        Error pages are often those of a balancer, and tell nothing.

        Args:
            request: What was asked.
            response: The answer.
        """
        status = response.status
        if 200 <= status < 300 or (status == 404 and self.product is None):
            server = response.headers.get("Server") or ""
            if server != self._server:
                self._server, self.product = server, server_product(response)
            if request.method in ("PUT", "DELETE") and status in (200, 201, 204):
                self._look, self._seen = _look_of(response), clock()
                if self._trial is not None and self._look not in self._trial.looks:
                    self._doubted = self._seen

    def knows(self, method: str, server: str) -> bool:
        """Tell whether `notice` would learn nothing from an answer, and take note that the host looks as before.

        Args:
            method: Of the request.
            server: The Server header, all that a success says of the server.
        """
        if server != self._server:
            return False
        if method == "HEAD":
            return True
        if self._look != _look(server) or (self._trial is not None and self._look not in self._trial.looks):
            return False
        self._seen = clock()
        return True

    def looks_as_before(self, response: Response) -> bool:
        """Tell whether an answer to HEAD may be that of the host that was tried, by what it says of the server and of proxies.

        Args:
            response: The answer.
        """
        beginning = _look_of(response).rpartition("; ")[0]
        return self._trial is not None and any(look.rpartition("; ")[0] == beginning for look in self._trial.looks)

    def doubt(self) -> None:
        """Believe no longer what a trial has shown: an answer was not that of the host that was tried."""
        self._doubted = clock()

    def _is_believed(self) -> bool:
        return not self._doubted and self._trial is not None and self._trial.tried <= clock() < self._until

    @staticmethod
    def _was(moment: float, within: float = RETRY) -> bool:
        return 0 <= clock() - moment < within


class AttentiveWire:
    """A wire whose answers tell who the host is.

    Args:
        wire: Moves the requests.
        host: What is known of the host.
    """

    def __init__(self, wire: Wire, host: Acquaintance) -> None:
        self._wire = wire
        self._host = host

    def exchange(self, request: Request) -> Course[Response]:
        """Send a request and return the answer, or raise `NoAnswerError`."""
        response = yield from self._wire.exchange(request)
        self._host.notice(request, response)
        return response

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()


def try_directories(action: Action, host: Acquaintance) -> Steps[None]:
    """Find out with a directory of resto's own whether the host spares it, and how it answers for it; remove what is left of it.

    Args:
        action: With the name of the directory, a temporary one.
        host: Learns it.

    Raises:
        TransportError: The host does not take the directory, or the file in it, or has whatever one asks for.
    """
    host.begin()
    if (yield Request("HEAD", action.target_of(temporary_name("")))).status == 200:
        raise action.failed("it says that it has a file which nobody has put there")
    file, content = action.target_of(f"{action.name}/{FILE_OF_TRIAL}"), secrets.token_hex(16).encode()
    made = yield Request("MKCOL", collection(action.target))  # refused where it is PUT that makes directories
    try:
        put = yield from unlocked(Request("PUT", file, body=Body(content)))
    except NoAnswerError as failure:
        if not failure.is_late:  # it may have been stored; and a host that hangs would cost as much time again
            yield from _discard(file, action)
        raise
    if put.status not in (200, 201, 204):  # what it stored is read
        if made.status == 201 or 200 <= put.status < 300:
            yield from _discard(file, action)
        raise action.unexpected(put, "PUT")
    head_of_whole = yield Request("HEAD", action.target)
    whole = yield from _deleted(action.target)
    got, is_there = yield from _content(file, len(content))
    removed = yield from _deleted(file)
    head_of_empty = yield Request("HEAD", action.target)
    empty = yield from _deleted(action.target)
    yield Request("DELETE", collection(action.target))
    if removed.status not in (200, 204, *ABSENT):
        error = action.unexpected(removed, "DELETE")
        host.fail(f"{error.problem}; {action.name!r} may stay there", leaves=True)
        return
    is_deleted = removed.status in (200, 204)  # else it refuses whatever is asked of it
    spares = _is_refused(whole) and is_there == content and is_deleted and _is_refused(empty)
    looks = dict.fromkeys(_look_of(one) for one in ((put, removed) if is_deleted else (put,)))
    heads = [head_of_whole] if head_of_empty.status in ABSENT else [head_of_whole, head_of_empty]
    trial = Trial(spares, _differences(heads), tuple(looks), clock())
    host.take(trial, is_certain=all(_is_clear(one) for one in (*heads, whole, got, empty)))


def learn(action: Action, host: Acquaintance) -> Steps[None]:
    """Make a trial; it may show nothing, and then the reason is kept.

    Args:
        action: As for `try_directories`.
        host: As for `try_directories`.
    """
    try:
        yield from try_directories(action, host)
    except TransportError as error:
        host.fail(error.problem)


def _discard(file: str, action: Action) -> Steps[None]:
    """Remove what a trial that is broken off may have left."""
    with suppress(NoAnswerError):
        yield Request("DELETE", file, OF_ONE_FILE)
        yield Request("DELETE", collection(action.target))


def _deleted(target: str) -> Steps[Response]:
    return unlocked(Request("DELETE", target, OF_ONE_FILE))


def _content(target: str, size: int) -> Steps[tuple[Response, bytes]]:
    """Read the file of a trial: that something is there might be said of anything, or by a cache."""
    response = yield Request("GET", target, stream=True)
    if response.stream is None or response.status != 200:
        close_stream(response)
        return response, b""
    content = b""
    with_more = size + 1
    try:
        while len(content) < with_more and (block := response.stream.read(with_more - len(content))):
            content += block
    finally:
        response.stream.close()
    return response, content


def _is_refused(response: Response) -> bool:
    status = response.status
    return (300 <= status < 500 and status not in _DEFERRED) or status == 501


def _is_clear(response: Response) -> bool:
    return 200 <= response.status < 300 or _is_refused(response)


def _differences(heads: list[Response]) -> str:
    """Return what distinguishes answers to HEAD for a directory from those for a file; empty if one of them is not distinguished."""
    if not all(_is_undated(head) or (head.status != 200 and _is_clear(head)) for head in heads):
        return ""
    return " ".join(dict.fromkeys(_UNDATED if _is_undated(head) else str(head.status) for head in heads))


def _is_undated(head: Response) -> bool:
    return head.status == 200 and not is_dated(head)


def _look_of(response: Response) -> str:
    get = response.headers.get
    return _look(*(get(name) or "" for name in ("Server", "Via", "DAV")))


def _look(server: str, via: str = "", dav: str = "") -> str:
    return f"{server[:_MAX_LOOK]}; {via[:_MAX_LOOK]}; {dav[:_MAX_LOOK]}"

"""The steps of an upload that first has a temporary name, and is then moved into place."""

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from resto.exceptions import RemoteDirectoryError, TransportError
from resto.names import temporary_name
from resto.transports import deletion, steps
from resto.transports.acquaintance import Acquaintance
from resto.transports.bodies import Body
from resto.transports.looks import cut_off, stored_size
from resto.transports.messages import NoAnswerError, Request, Response, Steps
from resto.transports.steps import Action


__all__ = ["MovedElsewhereError", "Unpublished"]

# Seconds to wait before the size of a file is asked for once more: rclone may tell the size that it had while it was written.
_SIZE_DELAYS = (0.05, 0.2)

# How often a MOVE is sent whose connection breaks, and that was not carried out.
_MOVES = 3

_ELSEWHERE = (
    "it said that the upload was moved into place, and does not have it there; a proxy in between must change the header "
    "Destination of MOVE as it changes the path, and keep no answers"
)

_SLOW = "if moving a file takes so long there, the option 'timeout' is too short for it"

_LOST = "the connection broke while the upload was moved into place, and it is under neither name"


class MovedElsewhereError(TransportError):
    """The host has stored an upload under another name than that which it was told; to try again at once would be of no use."""


@dataclass(slots=True)
class Unpublished:
    """An upload that has a temporary name as yet.

    Attributes:
        action: What is uploaded, to which host.
        body: The content.
        name: The temporary name.
        is_whole: Whether the host was asked for its size since it has this name.
        is_left: Whether the host may have it under the temporary name, and can be asked to delete it.
        is_late: Whether the host has done something for which it did not answer in time.
    """

    action: Action
    body: Body
    name: str = field(init=False)
    is_whole: bool = False
    is_left: bool = False
    is_late: bool = False

    def __post_init__(self) -> None:
        self.name = temporary_name(self.action.name)

    @property
    def target(self) -> str:
        """The request target of the temporary name."""
        return self.action.target_of(self.name)

    def has_arrived(self) -> Steps[bool]:
        """Tell whether the host has all of it, although it has not said so: nobody else knows its name."""
        try:
            told = yield Request("HEAD", self.target)
            self.is_left = told.status not in steps.ABSENT
            self.is_whole = told.status == 200 and (yield from self._stored(self.target, told)) == self.body.size
        except NoAnswerError:
            self.is_left = False  # it would cost as much time again to find out
        return self.is_whole

    def rehearse(self) -> Steps[None]:
        """Move it to another temporary name, and look for it there: nothing of the site is touched if a proxy leads it astray.

        Raises:
            MovedElsewhereError: It is not there. It is removed from where it may be instead.
        """
        other = temporary_name(self.action.name)
        target = self.action.target_of(other)
        response = yield from self._move(target, "F")
        if response is not None and response.status not in (201, 204):
            raise self.action.unexpected(response, "MOVE")
        self.name, self.is_left = other, True
        told = yield Request("HEAD", target)
        if told.status in steps.ABSENT:
            for stray in self._strays(target):
                yield from _discard(stray)
            raise self._moved_elsewhere()
        yield from self._require_whole(target, told)
        self.is_whole = True

    def publish(self, host: Acquaintance) -> Steps[bool]:
        """Give it its final name, and look whether it is there; return whether a file had that name before.

        Args:
            host: What is known of the host.

        Raises:
            MovedElsewhereError: It is not there.
        """
        action = self.action
        response = yield from self._move(action.target, "F")
        if response is None or response.status in (201, 204):
            yield from self._settle(response, host, is_new=True)
            return False
        refusal = response
        if refusal.status not in (412, 207):  # nephele says 412 within 207
            with suppress(NoAnswerError):
                yield from deletion.forbid_directory(action)
            raise action.unexpected(refusal, "MOVE")
        if not self.is_whole or refusal.status == 207:
            # Elsewhere it could take the place of another file; rclone and Caddy delete the destination of a MOVE whose source
            # is missing; and what is there is whole.
            yield from self.rehearse()
        if not (yield from deletion.replaces_file(action, host)):
            raise self._moved_elsewhere() if refusal.status == 412 else action.unexpected(refusal, "MOVE")
        response = yield from self._move(action.target, "T")
        if response is not None and response.status not in (201, 204):
            raise action.unexpected(response, "MOVE")
        yield from self._settle(response, host, is_new=False)
        return True

    def discard(self, error: BaseException) -> Steps[None]:
        """Remove what a failed upload has left, if the host can be reached.

        Args:
            error: Why it has failed.
        """
        if isinstance(error, RemoteDirectoryError):
            # lighttpd moves a file into a directory of that name.
            yield from _discard(f"{steps.collection(self.action.target)}{posixpath.basename(self.target)}")
        if self.is_left:
            yield from _discard(self.target)

    def remove(self) -> Steps[None]:
        """Remove it from the host, which may not have it."""
        yield Request("DELETE", self.target, steps.OF_ONE_FILE)

    def _move(self, destination: str, overwrite: str, tries: int = _MOVES) -> Steps[Response | None]:
        """Move it, and return the answer; None if there was none, and the host does not have it under this name any more.

        Raises:
            NoAnswerError: There was none, and it is not known what has become of it.
        """
        # Apache refuses paths, nginx refuses other hosts.
        url = self.action.url
        headers = {"Destination": f"{url.scheme}://{url.netloc}{destination}", "Overwrite": overwrite}
        # Of connections that are kept alive, the next one may be closed, too.
        request = Request("MOVE", self.target, headers, idempotent=False, is_fresh=tries < _MOVES)
        try:
            response = yield from steps.unlocked(request)
        except NoAnswerError as error:
            failure = error
        else:
            self.is_left = response.status not in (201, 204)
            return response
        if failure.ambiguous:
            self.is_left = yield from self._is_there(failure)
            if not self.is_left:
                self.is_late = self.is_late or failure.is_late
                return None
            if failure.is_late:
                self.is_left = False  # the request may still be carried out
                raise NoAnswerError(f"{failure.problem} to MOVE; {_SLOW}", ambiguous=True, is_late=True) from failure
            if tries > 1:
                return (yield from self._move(destination, overwrite, tries - 1))
        raise failure

    def _is_there(self, failure: NoAnswerError) -> Steps[bool]:
        """Tell whether the host has it under this name.

        Raises:
            NoAnswerError: It does not tell.
        """
        try:
            told = yield Request("HEAD", self.target)
        except NoAnswerError:
            self.is_left = False  # as far as the host can be reached
            raise failure from None
        if told.status not in (200, *steps.ABSENT):
            raise failure
        return told.status == 200

    def _settle(self, response: Response | None, host: Acquaintance, *, is_new: bool) -> Steps[None]:
        """Make sure that the host has it under its final name.

        Args:
            response: To the MOVE; None if there was none.
            host: What is known of the host.
            is_new: Whether no file had that name before.
        """
        action = self.action
        told = yield Request("HEAD", action.target)
        if told.status in steps.ABSENT:
            raise self._moved_elsewhere() if response is not None else action.failed(_LOST)
        if response is None or response.status == 204:
            # So says nginx of any move, and lighttpd when it has moved the file into a directory of that name.
            yield from deletion.require_file(action, told)
        stored = yield from self._stored(action.target, told)
        if stored == self.body.size:
            return
        # Nobody shall read half of it. Whatever has been stored there in between is sent again, as this fails.
        if is_new and stored is not None and (yield from deletion.replaces_file(action, host)):
            yield from _discard(action.target)
        raise cut_off(action, told, stored, self.body.size)

    def _require_whole(self, target: str, told: Response) -> Steps[None]:
        stored = yield from self._stored(target, told)
        if stored != self.body.size:
            raise cut_off(self.action, told, stored, self.body.size)

    def _stored(self, target: str, told: Response) -> Steps[int | None]:
        """Return how many bytes a host has stored, and ask once more if these are not all; None if it does not tell."""
        stored = yield from stored_size(self.action, target, told, self.body.size)
        for delay in _SIZE_DELAYS:
            if stored in (None, self.body.size):
                break
            told = yield Request("HEAD", target, delay=delay)
            stored = yield from stored_size(self.action, target, told, self.body.size)
        return stored

    def _moved_elsewhere(self) -> MovedElsewhereError:
        action = self.action
        return MovedElsewhereError(action.host, action.name, action.kind, _ELSEWHERE)

    def _strays(self, target: str) -> Iterator[str]:
        """Return where an upload may be if a proxy takes off a part of each path, and leaves Destination as it is."""
        parts = self.action.url.path.strip("/").split("/")
        return (f"/{'/'.join(parts[: depth + 1])}{target}" for depth in range(len(parts)) if parts[0])


def _discard(target: str) -> Steps[None]:
    with suppress(NoAnswerError):  # what made the upload fail is the error to report
        yield Request("DELETE", target, steps.OF_ONE_FILE)

"""Downloads: the steps of those that bring a file, or a part of it (RFC 9110, section 14), and their streams.

A range of a file is a part of a known version of it, or the whole file is read: a host may know nothing of ranges, or of versions.
"""

import io
import re
from datetime import datetime
from typing import Any

from resto.counts import counted
from resto.exceptions import HostUnavailableError, RemoteFileChangedError
from resto.transports import steps
from resto.transports.limits import MAX_DOWNLOAD, LimitedStream, LongAnswerError, PartOfStream
from resto.transports.messages import NoAnswerError, Request, Response, Steps
from resto.transports.parts import Version
from resto.transports.steps import Action


__all__ = ["Download", "download", "download_part", "unavailable"]

_CONTENT_RANGE = re.compile("bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)

# ASGIWebDAV leaves out the unit.
_UNSATISFIED_RANGE = re.compile(r"(?:bytes )?\*/([0-9]{1,18})", re.IGNORECASE)

_RAISE = "if it has such files, raise this option of the transport"

_RANGE_NOT_SATISFIABLE = 416


def download(action: Action, limit: int = MAX_DOWNLOAD) -> Steps[LimitedStream]:
    """Return a stream of the file's content, which never brings more than the host has announced.

    Args:
        action: What to read.
        limit: Bytes that a file may have.
    """
    response = yield Request("GET", action.target, stream=True)
    return _content_of(action, response, limit)


def download_part(
    action: Action, start: int, end: int | None, version: Version | None, limit: int
) -> Steps[tuple[LimitedStream, Version | None]]:
    """Return a stream of a part of a file, and the version that this is of; or that of the whole file, and None.

    Args:
        action: What to read.
        start: As for `Transport.open_part`.
        end: As for `Transport.open_part`.
        version: As for `Transport.open_part`.
        limit: As for `download`.
    """
    if version is not None and end is not None:
        end = min(end, version.size)  # some refuse a range that ends beyond the file
    headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    if version is not None and version.tag:
        headers["If-Range"] = version.tag
    response = yield Request("GET", action.target, headers, stream=True)
    if version is not None:
        return _part_of(action, response, start, end, version), version
    told = _version_told(response, start, end) if response.status == 206 else None
    if told is not None and told.is_known:
        _require_length(action, response, told.size, limit)
        return _limited(response, _length(start, end, told)), told
    if response.status in (206, _RANGE_NOT_SATISFIABLE):
        steps.close_stream(response)
        if response.status != 206 and start and not _is_within(response, start):
            raise action.failed("the file ends before the part that was asked for")
        return (yield from download(action, limit)), None
    return _content_of(action, response, limit), None


def _content_of(action: Action, response: Response, limit: int) -> LimitedStream:
    """Return the stream of `download` from the answer to a GET; raise if that does not bring the file."""
    steps.expect_file(action, response, "GET")
    assert response.stream is not None  # noqa: S101 - a wire gives the stream of a 200 to who asks for it
    length = steps.content_length(response)
    if length is None and not steps.is_chunked(response):
        response.stream.close()
        raise action.failed("it does not say where the file ends")
    if length is not None:
        _require_length(action, response, length, limit)
    problem = f"it sent more than max_download allows, {limit} bytes; {_RAISE}"
    return _limited(response, limit, problem) if length is None else _limited(response, length)


def _require_length(action: Action, response: Response, length: int, limit: int) -> None:
    """Raise if a file is longer than it may be."""
    if length > limit:
        steps.close_stream(response)
        raise action.failed(f"the file has {length} bytes, which is more than max_download allows: {limit}; {_RAISE}")


def _limited(response: Response, length: int, problem: str = "") -> LimitedStream:
    """Return the body of an answer that brings a file or a part, up to a length: that which was announced, unless a problem is given."""
    assert response.stream is not None  # noqa: S101 - a wire gives the stream of a 200 or a 206 to who asks for it
    announced = f"it sent more than the {counted(length, 'byte')} that it had announced"
    stream = LimitedStream(response.stream, length, problem or announced)
    stream.modified = response.headers.get("Last-Modified")
    return stream


def _part_of(action: Action, response: Response, start: int, end: int | None, version: Version) -> LimitedStream:
    """Return a stream of a part; raise if the answer does not bring that part of that version."""
    told = _version_told(response, start, end) if response.status == 206 else None
    if told is not None and told.is_same_as(version):
        return _limited(response, _length(start, end, version))
    if response.status not in (206, _RANGE_NOT_SATISFIABLE):
        steps.expect_file(action, response, "GET")
        if _version_of(response, steps.content_length(response)).is_same_as(version):
            # Some give the whole file in place of a single byte.
            return PartOfStream(_limited(response, version.size), start, _length(start, end, version))
    steps.close_stream(response)
    if response.status == 206 and told is None:
        raise action.failed("its answer is not the part of the file that was asked for")
    raise _changed(action)


def _is_within(response: Response, start: int) -> bool:
    """Tell whether a file that has no part that ends so far has one that begins there."""
    told = _UNSATISFIED_RANGE.fullmatch((response.headers.get("Content-Range") or "").strip())
    return told is not None and start < int(told[1])


def _version_told(response: Response, start: int, end: int | None) -> Version | None:
    """Return which version a part is of; None if the answer does not say for certain that it is the part that was asked for."""
    found = _CONTENT_RANGE.fullmatch((response.headers.get("Content-Range") or "").strip())
    if found is None:
        return None
    first, last, size = map(int, found.groups())
    is_right = first == start and last == (size if end is None else min(end, size)) - 1 and first <= last
    if not is_right or steps.content_length(response) != last + 1 - first:
        return None
    return _version_of(response, size)


def _version_of(response: Response, size: int | None) -> Version:
    tag = (response.headers.get("ETag") or "").strip()
    is_strong = tag.startswith('"')  # a weak one begins with W/ (RFC 9110, section 8.8.1)
    return Version(-1 if size is None else size, tag if is_strong else "", response.headers.get("Last-Modified") or "")


def _length(start: int, end: int | None, version: Version) -> int:
    return (version.size if end is None else min(end, version.size)) - start


def _changed(action: Action) -> RemoteFileChangedError:
    problem = "it has another file of this name by now than the one that is being read"
    return RemoteFileChangedError(action.host, action.name, action.kind, problem)


class Download(io.RawIOBase):
    """The stream of a download, with the errors of the contract.

    Args:
        action: What is read.
        stream: The body of the answer.
    """

    def __init__(self, action: Action, stream: LimitedStream) -> None:
        super().__init__()
        self._action = action
        self._stream = stream

    @property
    def modified(self) -> datetime | None:
        """When the file was modified last; None if the host does not say."""
        return steps.parse_http_date(self._stream.modified)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to as many bytes as the buffer takes, and return how many.

        Raises:
            TransportError: The host has broken off, or sends too much.
        """
        try:
            block = self._stream.read(len(buffer))
        except NoAnswerError as error:
            raise unavailable(self._action, error) from error
        except LongAnswerError as error:
            raise self._action.failed(str(error)) from error
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close the body of the answer."""
        if not self.closed:
            self._stream.close()
        super().close()


def unavailable(action: Action, error: NoAnswerError) -> HostUnavailableError:
    """Return the error that tells that a host gave no answer.

    Args:
        action: What was done.
        error: What the wire says.
    """
    return HostUnavailableError(action.host, action.name, action.kind, error.problem, error.ambiguous)

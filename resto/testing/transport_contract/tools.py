"""What the tests of several themes need: names, files and expected failures."""

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast


# What the errors of a method call the action, where it has another name.
_ACTIONS = {"create": "upload", "open": "download", "open_part": "download", "content": "download", "browse": "listdir"}


def new_name(name: str, separator: str = "-") -> str:
    """Return a name that nobody has used."""
    return f"{secrets.token_hex(4)}{separator}{name}" if name else secrets.token_hex(4)


def file_of_zeros(size: int, **kinds: bool) -> BinaryIO:
    """Return a file of zeros, which may be one that cannot seek, or is broken."""
    return cast("BinaryIO", io.BufferedReader(_Zeros(size, **kinds)))


class AtHand(io.BytesIO):
    """A file whose content is in memory, too."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.at_hand = content


def require_content(found: bytes, wanted: bytes, problem: str = "a content must come back as it was stored") -> None:
    """Make sure that a content is the right one; of a long one pytest would look for all differences, for minutes."""
    if found != wanted:
        pairs = enumerate(zip(found, wanted, strict=False))
        same = next((number for number, (one, other) in pairs if one != other), min(len(found), len(wanted)))
        raise AssertionError(f"{problem}: {len(found)} bytes for {len(wanted)}, which differ from byte {same} on")


@contextmanager
def failure(kind: type[Exception], host: str, name: str, method: str) -> Iterator[list[Any]]:
    """Make sure that a method raises an error of a kind, which tells host, name and action; yield a list with it."""
    caught: list[Any] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    except Exception as error:
        raise AssertionError(f"{method} must raise {kind.__name__}, not {error!r}") from error
    if not caught:
        raise AssertionError(f"{method} must raise {kind.__name__}")
    told = caught[0].host, caught[0].name, caught[0].action
    assert told == (host, name, _ACTIONS.get(method, method)), f"{method} must tell the host, name and action"


class _Zeros(io.RawIOBase):
    """A file of zeros that takes no memory."""

    def __init__(self, size: int, *, can_seek: bool = True, is_broken: bool = False) -> None:
        super().__init__()
        self._size = size
        self._position = 0
        self._can_seek = can_seek
        self._is_broken = is_broken  # in its second half

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._can_seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if not self._can_seek:
            raise io.UnsupportedOperation("seek")
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def readinto(self, buffer: Any) -> int:
        if self._is_broken and self._position >= self._size / 2:
            raise OSError("the disk is broken")
        count = min(len(buffer), self._size - self._position)
        buffer[:count] = bytes(count)
        self._position += count
        return count

"""What a PROPFIND of one resource asks for, and what the answers say (RFC 4918, section 9.1)."""

from dataclasses import dataclass
from datetime import datetime
from xml.parsers import expat

from resto.transports.limits import LimitedStream, LongAnswerError
from resto.transports.messages import Response, Stream
from resto.transports.multistatus import PROPFIND_BODY, PROPFIND_SIZES_BODY, is_refused, refuse_doctype
from resto.transports.steps import natural, parse_http_date


__all__ = ["PROPFIND_FILE_BODY", "PROPFIND_KIND_BODY", "Properties", "parse_properties", "properties_of"]

PROPFIND_FILE_BODY = PROPFIND_BODY.replace(b"<getetag/>", b"")
PROPFIND_KIND_BODY = PROPFIND_SIZES_BODY.replace(b"<getcontentlength/>", b"")

# Names of elements, as the parser gives them: after their namespace.
_RESPONSE, _PROPSTAT, _STATUS = "DAV: response", "DAV: propstat", "DAV: status"
_TYPE, _COLLECTION = "DAV: resourcetype", "DAV: collection"
_SIZE, _MODIFIED = "DAV: getcontentlength", "DAV: getlastmodified"

_BLOCK = 64 * 1024

# Bytes of an answer about one resource, of which three properties were asked for.
_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Properties:
    """What a host says of one resource.

    Attributes:
        is_collection: Whether it is a collection; None if the host does not say.
        size: In bytes; None if the host does not say.
        modified: Aware; None if the host does not say.
    """

    is_collection: bool | None
    size: int | None
    modified: datetime | None


def properties_of(response: Response) -> Properties | None:
    """Return what the answer to a PROPFIND says, and close it; None if it says nothing that can be understood.

    Args:
        response: To a request with ``Depth: 0``, as the wire gives it.
    """
    if response.stream is None:
        return None
    try:
        if response.status != 207:
            return None
        return parse_properties(LimitedStream(response.stream, _MAX_ANSWER, "it is too long"))
    except LongAnswerError:
        return None
    finally:
        response.stream.close()


def parse_properties(stream: Stream) -> Properties | None:
    """Return what an answer says; None if it cannot be understood, or is not about one resource, or says that it is not there.

    Args:
        stream: The body of an answer to a PROPFIND with ``Depth: 0``, of limited length.

    Raises:
        LongAnswerError: It is longer.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.texts.append
    try:
        while block := stream.read(_BLOCK):
            parser.Parse(block)
        parser.Parse(b"", True)  # noqa: FBT003 - it takes no keywords
    except (expat.ExpatError, LookupError, ValueError):
        return None
    return reader.found[0] if len(reader.found) == 1 else None


class _Reader:
    """Takes the elements of an answer, each at its end.

    Attributes:
        found: What is said of each resource.
        texts: What was said since the last element has ended.
    """

    def __init__(self) -> None:
        self.found: list[Properties | None] = []
        self.texts: list[str] = []
        self._values: dict[str, str] = {}  # of one propstat; whether the server has them it says at the end of it
        self._known: dict[str, str] = {}

    def end(self, name: str) -> None:
        """Take note that an element ends."""
        if name == _PROPSTAT:
            if not is_refused(self._values.get(_STATUS)):
                self._known |= self._values
            self._values = {}
        elif name == _RESPONSE:
            self.found.append(None if is_refused(self._values.get(_STATUS)) else self._properties())
            self._values, self._known = {}, {}
        elif name in (_STATUS, _TYPE, _COLLECTION, _SIZE, _MODIFIED):
            self._values[name] = "".join(self.texts).strip()
        self.texts.clear()

    def _properties(self) -> Properties:
        known = self._known
        kind = _COLLECTION in known if _TYPE in known else None
        return Properties(kind, natural(known.get(_SIZE)), parse_http_date(known.get(_MODIFIED)))

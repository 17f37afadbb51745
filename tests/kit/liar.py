"""A media server whose answers are right, and come to harm on their way, or are made up: as an example of Hypothesis has it.

What it keeps is small: two files, one in a directory. Each request takes the next harm of the example, and the first again after the last.
"""

import contextlib
import itertools
import json
import reprlib
import socket
import struct
import threading
from dataclasses import dataclass, fields
from urllib.parse import quote, unquote, urlsplit

from hypothesis import strategies as st


FILES = {"a.txt": b"content", "d/b.txt": b"x" * 5000}
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
_PAUSE = 0.01  # seconds between the pieces of what trickles


# What may happen to an answer.


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 1000


class _Shown:
    """Shows itself in few words: hypothesis warns of long ones, and nobody reads them."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.name}={_SHORT.repr(getattr(self, one.name))}" for one in fields(self))
        return f"{type(self).__name__}({shown})"

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(repr(self))


@dataclass(frozen=True, repr=False)
class Harm(_Shown):
    """How an answer comes to its end.

    Attributes:
        kind: ``"none"``, ``"cut"`` or ``"reset"`` (the connection ends), ``"silence"`` (it does not), ``"trickled"``, ``"doubled"``,
            ``"endless"``, ``"interim"``, or ``"endless interim"``.
        at: After how many bytes; where it trickles, the size of a piece.
        more: What comes for ever after it.
        lie: What it says in place of the truth; None for the truth.
        is_early: Whether it comes before the body of a request that was announced.
    """

    kind: str
    at: int
    more: bytes
    lie: "Lie | None"
    is_early: bool


@dataclass(frozen=True, repr=False)
class Lie(_Shown):
    """What an answer says in place of the truth.

    Attributes:
        status: None for the true one.
        fields: Header fields that are added, or take the place of others.
        body: None for the true one.
        framing: ``"length"``, ``"chunked"``, ``"both"``, ``"none"``, or ``"true"``.
        garbled: Where, in thousandths of its length, there are other bytes.
    """

    status: int | None
    fields: tuple[tuple[str, str], ...]
    body: bytes | None
    framing: str
    garbled: tuple[tuple[int, bytes], ...]


XML_PIECES = [
    *(
        "<a>",
        "</a>",
        "<b/>",
        "<a x='1'>",
        "<a xmlns='DAV:'>",
        "<!--x-->",
        "<?x y?>",
        "text",
        "&#160;",
        "&a;",
        "<![CDATA[</]]>",
    ),
    *(
        '<!DOCTYPE a [<!ENTITY a "b">]>',
        "]]>",
        "\0",
        "é",
        "<propstat>",
        "</propstat>",
        "<prop>",
        "</prop>",
        "<status>HTTP/1.1 404 No</status>",
    ),
    *(
        "<response>",
        "</response>",
        "<href>/media/</href>",
        "<href>/media/a.txt</href>",
        "<href>//x/../..</href>",
        "<href>/%ff/%</href>",
    ),
    *(
        "<href>http://[::1/</href>",
        "<href>http://other:99999/media/c</href>",
        "<href>/media/d/</href>",
        "<href/>",
        "<status>x</status>",
    ),
    *("<resourcetype/>", "<resourcetype><collection/></resourcetype>", "<getcontentlength>7</getcontentlength>"),
    *(
        "<getcontentlength>-1</getcontentlength>",
        f"<getcontentlength>{'9' * 5000}</getcontentlength>",
        "<getetag>x</getetag>",
    ),
    *(
        "<getlastmodified>Fri, 31 Dec 9999 23:59:59 -1200</getlastmodified>",
        f"<getlastmodified>{DATE}</getlastmodified>",
    ),
]
JSON_PIECES = [
    *("[", "]", "{", "}", ",", '"a"', "1e999", "-0", "null", "NaN", '"', "\\ud800", "é", "[" * 2000, "9" * 5000),
    *(
        '{"name": "a.txt", "type": "file", "size": 7}',
        '{"name": "../a", "type": "file"}',
        '{"name": "\\u0000", "type": "directory"}',
    ),
    *(
        '{"name": 1, "type": "file"}',
        '{"name": "d", "type": "directory", "size": []}',
        '{"name": "a", "type": "other"}',
    ),
]
FIELDS = [
    *(("Content-Length", value) for value in ("0", "7", "-1", "1e3", "+7", "7, 7", "", "\u0667", "9" * 18, "9" * 400)),
    *(
        ("Transfer-Encoding", value)
        for value in ("chunked", "gzip, chunked", "identity", "CHUNKED", "chunked, chunked", "x")
    ),
    *(
        ("Last-Modified", value)
        for value in (DATE, "", "x", "Mon, 01 Jan 0001 00:00:00 +1200", "Sun, 99 Nov 1994 08:49:37", "1", "0" * 5000)
    ),
    *(("Date", value) for value in (DATE, "x", "Fri, 31 Dec 9999 23:59:59 -1200")),
    *(("Retry-After", value) for value in ("0", "1", "-1", "9" * 30, DATE, "x")),
    *(
        ("Location", value)
        for value in ("/media/a.txt/", "http://[", "//", "http://x:y/", "\xff", "", "http://127.0.0.1:1/" * 500)
    ),
    *(("Content-Range", value) for value in ("bytes 0-0/7", "bytes */7", "bytes 0-0/*", "x/-1", "/" + "9" * 5000)),
    *(("Content-Type", value) for value in ("application/json", "application/xml; charset=x", "", "text/html")),
    *(("Content-Encoding", value) for value in ("gzip", "br", "deflate, gzip")),
    *(
        ("WWW-Authenticate", value)
        for value in ('Basic realm="x"', 'Digest realm="x", nonce="y", qop="auth"', "Digest", 'Digest nonce="', ",")
    ),
    *(
        ("Server", value)
        for value in ("nginx", "Apache/2.4", "rclone/v1.75", "WsgiDAV/4", "Caddy", "lighttpd", "", "x" * 5000)
    ),
    *(("Connection", value) for value in ("close", "keep-alive", "upgrade", "x, close")),
    *(
        ("Set-Cookie", "a=b"),
        ("ETag", 'W/"'),
        ("X", "a\r\n folded"),
        ("X y", "z"),
        ("", ""),
        ("X", "\0"),
        ("X", "y" * 70_000),
    ),
]
STATUSES = [
    *(
        200,
        201,
        202,
        204,
        206,
        207,
        301,
        302,
        304,
        308,
        400,
        401,
        403,
        404,
        405,
        407,
        409,
        410,
        412,
        413,
        416,
        417,
        423,
    ),
    *(429, 500, 501, 502, 503, 507, 0, 100, 101, 103, 299, 600, 999),
]
GARBAGE = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\0",
        b" ",
        b":",
        b"\xff",
        b"\r",
        b"HTTP/1.1 ",
        b"-",
        b"0\r\n\r\n",
        b"ffffffff\r\n",
        b"<",
        b"/",
        b"9",
        b"x" * 5000,
    ]
) | st.binary(max_size=4)


def _joined(pieces, start=""):
    return st.lists(st.sampled_from(pieces), max_size=12).map(lambda found: (start + "".join(found)).encode())


def _listing(entries):
    return f'<multistatus xmlns="DAV:">{entries}</multistatus>'.encode()


BODIES = st.one_of(
    st.binary(max_size=50),
    _joined(XML_PIECES, '<multistatus xmlns="DAV:">'),
    st.lists(st.sampled_from(XML_PIECES), max_size=12).map(lambda found: _listing("".join(found))),
    _joined(JSON_PIECES, "["),
    st.sampled_from(
        [b"<a>" * 100_000, b"[" * 300_000, b"\0" * 300_000, b"<a x='" + b"y" * 400_000, "<é/>".encode("utf-16")]
    ),
)
LIES = st.builds(
    Lie,
    st.none() | st.sampled_from(STATUSES),
    st.lists(st.sampled_from(FIELDS), max_size=3).map(tuple),
    st.none() | BODIES,
    st.sampled_from(["true", "true", "length", "chunked", "both", "none"]),
    st.lists(st.tuples(st.integers(0, 1000), GARBAGE), max_size=2).map(tuple),
)
MORE = st.sampled_from(
    [
        b"x",
        b"X: y\r\n",
        b"1\r\nx\r\n",
        b"5\r\n<a/>\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        b"ffff\r\n" + b"y" * 65_535 + b"\r\n",
    ]
)


# What takes its time is seldom, so that there are many examples.
KINDS = [
    *("none",) * 10,
    *("cut", "doubled", "interim") * 3,
    *("reset", "silence", "trickled", "endless", "endless interim"),
]


def harms(lies):
    """What may happen to an answer: on its way, and before."""
    return st.builds(
        Harm,
        st.sampled_from(KINDS),
        st.one_of(st.integers(0, 40), st.integers(0, 400), st.just(10**9)),
        MORE,
        lies,
        st.booleans(),
    )


ON_THEIR_WAY = st.lists(harms(st.none()), min_size=1, max_size=6)
ANY = st.lists(harms(st.none() | LIES), min_size=1, max_size=6)


# The truth.


class Site:
    """The files that a server has, and its true answers."""

    def __init__(self, server):
        self.files, self._server = {f"/media/{name}": content for name, content in FILES.items()}, server
        self.directories = {"/media/", "/media/d/"}

    def answer(self, method, target, headers, body):
        """Do what is asked for; return the status, header fields, and the body."""
        path = unquote(target)
        found = getattr(self, f"_{method.lower()}", self._unknown)(path, headers, body)
        status, content, *more = found
        fields = {"Server": self._server, "Date": DATE} if self._server else {}
        return status, fields | (more[0] if more else {}), content

    def _unknown(self, path, headers, body):
        return 405, b""

    def listing(self, path):
        """Return what is in a directory: the last parts of the names of directories, and of files with their sizes."""
        inside = [
            name[len(path) :] for name in (*self.directories, *self.files) if name != path and name.startswith(path)
        ]
        directories = {name[:-1] for name in inside if name.find("/") == len(name) - 1}
        return directories, {name: len(self.files[path + name]) for name in inside if "/" not in name}

    def _get(self, path, headers, body):
        if path in self.files:
            return 200, self.files[path], {"Last-Modified": DATE}
        if path not in self.directories:
            return 404, b"no"
        directories, files = self.listing(path)
        found = [{"name": name, "type": "directory"} for name in directories]
        found += [{"name": name, "type": "file", "size": size} for name, size in files.items()]
        return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}

    def _head(self, path, headers, body):
        if path + "/" in self.directories:
            return 301, b"", {"Location": quote(path) + "/"}
        status, content, *more = self._get(path, headers, body)
        return status, b"", {**(more[0] if more else {}), "Content-Length": str(len(content))}

    def _put(self, path, headers, body):
        if path + "/" in self.directories:
            return 409, b""
        parent = path.rpartition("/")[0] + "/"
        if parent not in self.directories and self._server not in ("", "nginx"):
            return 409, b""
        self.directories.add(parent)
        is_new = path not in self.files
        self.files[path] = body
        return 201 if is_new else 204, b""

    def _delete(self, path, headers, body):
        if path in self.directories or path + "/" in self.directories:
            below = [name for name in self.files if name.startswith(path)]
            if below or not path.endswith("/"):
                return 409, b""
            self.directories.discard(path)
            return 204, b""
        return (204, b"") if self.files.pop(path, None) is not None else (404, b"")

    def _mkcol(self, path, headers, body):
        if path in self.directories:
            return 405, b""
        self.directories.add(path)
        return 201, b""

    def _move(self, path, headers, body):
        target = unquote(urlsplit(headers["destination"]).path)
        if path not in self.files:
            return 404, b""
        is_new = target not in self.files
        if target + "/" in self.directories or (not is_new and headers.get("overwrite") == "F"):
            return 412, b""
        self.files[target] = self.files.pop(path)
        return 201 if is_new else 204, b""

    def _propfind(self, path, headers, body):
        top = path if path in self.files or path in self.directories else path + "/"
        if top not in self.files and top not in self.directories:
            return 404, b""
        found = [top]
        if headers.get("depth") == "1" and top in self.directories:
            directories, files = self.listing(top)
            found += [*(f"{top}{name}/" for name in directories), *(top + name for name in files)]
        return 207, _listing("".join(map(self._entry, found))), {"Content-Type": "application/xml"}

    def _entry(self, path):
        kind = "<collection/>" if path in self.directories else ""
        size = "" if kind else f"<getcontentlength>{len(self.files[path])}</getcontentlength>"
        said = f"<resourcetype>{kind}</resourcetype>{size}<getlastmodified>{DATE}</getlastmodified>"
        return f"<response><href>{quote(path)}</href><propstat><prop>{said}</prop><status>HTTP/1.1 200 OK</status></propstat></response>"


def _written(method, status, fields, body, lie):
    """Return an answer as it is sent, if nothing happens to it."""
    garbled, framing = (), "true"
    if lie is not None:
        status = status if lie.status is None else lie.status
        body = body if lie.body is None else lie.body
        garbled, framing = lie.garbled, lie.framing
    lines = [(name, value) for name, value in fields.items() if not (lie and name in dict(lie.fields))]
    if framing in ("length", "both") or (framing == "true" and method != "HEAD" and status != 204):
        lines.append(("Content-Length", str(len(body))))
    if framing in ("chunked", "both"):
        lines.append(("Transfer-Encoding", "chunked"))
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    lines += lie.fields if lie else ()
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    answer = head.encode("latin-1", "replace") + (b"" if method == "HEAD" and framing == "true" else body)
    for place, other in garbled:
        position = len(answer) * place // 1000
        answer = answer[:position] + other + answer[position + len(other) :]
    return answer


# The server.


class Liar:
    """A server that does to its answers what it is told.

    Attributes:
        url: Where its files are.
        site: What it has.
    """

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/media/"
        self.site, self._harms = Site(""), iter(())
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self, harms, server=""):
        """Begin anew, with these harms for the requests."""
        self.site, self._harms = Site(server), itertools.cycle(harms)

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError), sock:
            sock.settimeout(10)
            while self._answer_next(sock):
                pass

    def _answer_next(self, sock):
        """Answer the next request; return whether the connection goes on."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(sock)
        head, _, body = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        harm = next(self._harms)
        size = int(headers.get("content-length", 0))
        if not (harm.is_early and harm.lie and "expect" in headers):
            if "expect" in headers:
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            pieces, missing = [body], size - len(body)
            while missing > 0:
                pieces.append(_some(sock))
                missing -= len(pieces[-1])
            body = b"".join(pieces)
        answer = _written(method, *self.site.answer(method, target, headers, body), harm.lie)
        return _sent(sock, answer, harm)


def _some(sock):
    data = sock.recv(65_536)
    if not data:
        raise ConnectionError("the client left")
    return data


def _sent(sock, answer, harm):
    """Send an answer, or what becomes of it; return whether the connection goes on."""
    interim = b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n"
    if harm.kind in ("none", "doubled", "interim"):
        sock.sendall((interim if harm.kind == "interim" else b"") + answer * (2 if harm.kind == "doubled" else 1))
        return True
    if harm.kind == "endless interim":
        while True:
            sock.sendall(interim * (1000 if harm.at > 100 else 1))
            if harm.at <= 100:
                threading.Event().wait(_PAUSE)
    if harm.kind == "trickled":
        pieces = harm.at % 50 + 1
        for start in range(0, len(answer), pieces):
            sock.sendall(answer[start : start + pieces])
            threading.Event().wait(_PAUSE)
        return True
    # What goes on for ever after a part of it is a lie, too.
    sock.sendall(answer if harm.kind == "endless" and harm.lie is None else answer[: harm.at])
    if harm.kind == "endless":
        piece = harm.more * (65_536 // len(harm.more))
        while True:
            sock.sendall(piece)
    if harm.kind == "silence":
        _some(sock)  # until the client leaves
    if harm.kind == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False

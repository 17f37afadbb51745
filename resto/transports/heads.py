"""The heads of requests: what is asked for, the headers, and what proves who asks.

A wire sends them. Headers that all requests to a host have in common are written once.
"""

from collections.abc import Mapping

from resto.hosts import HostURL
from resto.transports.bodies import Body
from resto.transports.credentials import Authenticator, HeaderAuthenticator, RequestsAuthenticator, is_header
from resto.transports.failures import cannot_prepare
from resto.transports.messages import Request


__all__ = ["EXPECT_SIZE", "Heads", "checked_headers", "is_announced", "is_large"]

# A body above this size is announced (RFC 9110, section 10.1.1), so that a host which refuses it need not receive it.
# It keeps a thread busy; smaller ones are sent bit by bit, as hosts take them, by whoever has to do with several hosts.
EXPECT_SIZE = 1024 * 1024


class Heads:
    """Writes the heads of requests to one host.

    Args:
        url: Where the host is.
        authenticator: Proves who sends the requests.

    Attributes:
        are_ordinary: Whether no auth object has to see the requests.
    """

    def __init__(self, url: HostURL, authenticator: Authenticator | None) -> None:
        self._root = f"{url.scheme}://{url.netloc}"
        self._auth = authenticator.auth if isinstance(authenticator, RequestsAuthenticator) else None
        self.are_ordinary = self._auth is None
        fixed = {"Host": url.netloc, "User-Agent": "resto", "Accept-Encoding": "identity"}
        if isinstance(authenticator, HeaderAuthenticator):
            fixed = _merged(fixed, authenticator.headers)
        self._fixed_headers = fixed
        self._fixed_lines = _lines(fixed)

    def of(self, request: Request) -> bytes:
        """Return the head of a request, as it is sent.

        Raises:
            NoAnswerError: An auth object failed.
        """
        size = None if request.body is None else request.body.size
        headers = {**request.headers, "Expect": "100-continue"} if is_announced(request) else request.headers
        if self._auth is not None:
            return self._authenticated(request, dict(headers) | ({} if size is None else {"Content-Length": str(size)}))
        return self.ordinary(request.method, request.target, headers, size)

    def ordinary(self, method: str, target: str, headers: Mapping[str, str], size: int | None) -> bytes:
        """Return the head of a request that no auth object is to see.

        Args:
            method: As for `Request`.
            target: As for `Request`.
            headers: As for `Request`.
            size: That of the body; None if there is none.
        """
        more = _lines(headers) if headers else ""
        if size is not None:
            more += f"Content-Length: {size}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{self._fixed_lines}{more}\r\n".encode()

    def _authenticated(self, request: Request, headers: dict[str, str]) -> bytes:
        from requests import PreparedRequest  # whoever made the auth object has imported requests
        from requests.structures import CaseInsensitiveDict

        prepared = PreparedRequest()
        prepared.method = request.method
        prepared.url = self._root + request.target
        prepared.headers = CaseInsensitiveDict(_merged(self._fixed_headers, headers))
        prepared.body = request.body.content if request.body else None  # type: ignore[assignment]  # files are allowed
        try:
            prepared = self._auth(prepared)  # type: ignore[misc]  # only called when there is one
            lines = _lines(checked_headers(prepared.headers)).encode("ascii")
            return b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), prepared.path_url.encode(), lines)
        except Exception as error:  # noqa: BLE001 - an auth object is the site's code, and may fail as it likes
            failure = cannot_prepare(error)
        raise failure  # not within `except`: the error would stay with it, as its context


def is_announced(request: Request) -> bool:
    """Tell whether the body of a request is announced before it is sent."""
    return request.is_announced and is_large(request.body)


def is_large(body: Body | None) -> bool:
    """Tell whether sending a body may take long."""
    return body is not None and body.size > EXPECT_SIZE


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _merged(headers: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return headers with others added, which replace those of the same name in any case."""
    names = {name.lower() for name in more}
    return {name: value for name, value in headers.items() if name.lower() not in names} | dict(more)


def checked_headers(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return headers as text, all of them fit to be sent.

    Raises:
        ValueError: One contains a line break, or something else that would end it early.
    """
    texts = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()}
    for name, value in texts.items():
        if not is_header(name, value):
            raise ValueError(f"header {name!r}")
    return texts

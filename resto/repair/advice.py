"""What the probe says of a step that fails: what happened, and what to do about it."""

import ssl
from collections.abc import Iterator, Mapping

from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.transports.steps import CONFIGURED


__all__ = ["DELETE", "LIST", "READ", "REPLACE", "WRITE", "WRITE_BELOW", "explained"]

# What the probe does. Each is the beginning of a sentence.
WRITE = "A file cannot be written"
READ = "A file that was written cannot be read"
DELETE = "A file cannot be deleted"
WRITE_BELOW = "A file cannot be written into a new directory"
REPLACE = "A file cannot be replaced by one of 2 MiB"
LIST = "Its directories cannot be listed"

_REDIRECT = "redirects are not followed, so give the URL that it redirects to, perhaps with https://"
_OTHER = "something else than the media server answers, such as an application, or a site for unknown hostnames; correct the URL"
_PARENTS = "let the server make missing directories (nginx: create_full_put_path on), or take the transport 'webdav' and let it MKCOL"

_ADVICE: Mapping[tuple[str, int], str] = {
    (WRITE, 404): "does the directory of the host's URL exist, and does the server take uploads there?",
    (WRITE, 409): "make the directory of the host's URL on the server, or correct the URL",
    (
        WRITE,
        500,
    ): "see its error log: may the server's user write to the directory of the host's URL, is there one, and is the disk full?",
    (WRITE_BELOW, 403): _PARENTS,
    (WRITE_BELOW, 404): _PARENTS,
    (WRITE_BELOW, 409): _PARENTS,
    (WRITE_BELOW, 500): _PARENTS,
    (DELETE, 405): "let the server DELETE (nginx: dav_methods)",
    (DELETE, 409): "let the server delete files at this depth (nginx: a smaller min_delete_depth)",
    (READ, 403): "let the server's user read what it writes, and this machine read from the server",
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
    405: "let the server do this (nginx: dav_methods PUT DELETE MKCOL MOVE; Apache: Dav On)",
    413: "raise the limit of the server, or of the proxy before it (nginx: client_max_body_size 0; Apache: LimitRequestBody)",
    501: "the server has no such method: is it a media server?",
}

_FREE = "or free its disk (rclone and Caddy say so when it is full)"

# What a MOVE is answered behind a proxy that does not change its Destination, or by copyparty where there is a file already.
_MISDIRECTED = frozenset({400, 403, 409, 500, 502})

# For hosts that give no answer.
_ADVICE_FOR_SILENCE: Mapping[str, str] = {
    WRITE: "is the server running, and is this its address?",
    REPLACE: "does the server, or a proxy before it, end long uploads, or is the 'timeout' too short?",
}

# OpenSSL's codes (X509_V_ERR_*).
_ADVICE_FOR_CERTIFICATES: Mapping[int, str] = {
    9: "the clocks of the two machines differ, or it is not in force yet",
    10: "renew it",
    62: "give the host the name that its certificate is for",
    64: "give the host the name that its certificate is for",
}


def explained(step: str, error: Exception, *, is_server: bool) -> str:
    """Return what happened, and what to do about it, as one sentence.

    Args:
        step: What was done.
        error: What came of it.
        is_server: Whether the host is a server.
    """
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
        if error.problem.startswith("MOVE ") and error.status in _MISDIRECTED:
            return ""  # the transport has said what to look for
        advice = _ADVICE.get((step, error.status)) or ("" if step == LIST else _ADVICE_FOR_ALL.get(error.status, ""))
        # Unless the transport has seen that the server is one that would say so otherwise.
        may_be_full = error.status == 405 and advice == _ADVICE_FOR_ALL[405] and CONFIGURED not in error.problem
        return f"{advice}, {_FREE}" if may_be_full else advice
    if isinstance(error, RemoteFileNotFoundError):
        place = ("server", "directory") if is_server else ("host", "place")
        return "does the {} read from another {} than it writes to?".format(*place)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _ADVICE_FOR_CERTIFICATES.get(cause.verify_code, "give its authority as 'ca_bundle'")
        if isinstance(cause, ssl.SSLError):
            return "does the server speak http:// there, or does it want a client certificate ('client_cert')?"
    # Whether it runs, and has this address, may be no question: of a disk, for example. Its transport has said what is wrong.
    if isinstance(error, HostUnavailableError) and (is_server or step != WRITE):
        return _ADVICE_FOR_SILENCE.get(step, "")
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__

"""What is said of a step that fails: one sentence, whatever happens."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from kit.servers import ADDRESS
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.hosts import HostURL
from resto.repair.advice import DELETE, LIST, READ, REPLACE, WRITE, WRITE_BELOW, explained
from resto.transports.http import HttpTransport
from resto.transports.messages import Response
from resto.transports.steps import CONFIGURED, Action


STEPS = [WRITE, READ, DELETE, WRITE_BELOW, REPLACE, LIST]
SECRET = "a secret that nobody must read"

# What servers answer that are not set up for this, or are no media servers.
ADVISED = [200, 202, 301, 302, 303, 307, 308, 400, 401, 403, 405, 413, 501]


def answered(status):
    return UnexpectedStatusCode("host", "a", "upload", status, f"it was answered {status}: in general, a guess")


def failure(kind, cause, *details):
    error = kind("host", "a", "upload", *details, "it failed")
    error.__cause__ = cause
    return error


def unverified(code):
    error = ssl.SSLCertVerificationError("not trusted")
    error.verify_code = code
    return error


CAUSES = st.none() | st.builds(ssl.SSLError) | st.integers(0, 80).map(unverified)
FAILURES = st.builds(
    failure,
    st.sampled_from([TransportError, HostUnavailableError, RemoteFileNotFoundError]),
    CAUSES | st.builds(OSError),
)
ERRORS = st.integers(100, 599).map(answered) | FAILURES | st.builds(RuntimeError, st.just(SECRET))


@given(st.sampled_from(STEPS), ERRORS, st.booleans())
def test_whatever_happens_there_is_one_sentence(step, error, is_server):
    sentence = explained(step, error, is_server=is_server)
    assert sentence.startswith(f"{step}: ")
    assert sentence.endswith((".", "?"))
    assert not sentence.endswith(("..", "?."))
    assert not any(end in sentence for end in (". ", "? ", "; .", "\n"))
    assert SECRET not in sentence


@pytest.mark.parametrize("status", ADVISED)
@pytest.mark.parametrize("step", [step for step in STEPS if step != LIST])
def test_advice_takes_the_place_of_what_is_a_guess_in_general(step, status):
    sentence = explained(step, answered(status), is_server=True)
    assert sentence.startswith(f"{step}: it was answered {status}; ")
    assert "a guess" not in sentence


@pytest.mark.parametrize(("step", "status"), [(LIST, 405), (READ, 418), (DELETE, 507)])
def test_guess_stays_where_there_is_no_advice(step, status):
    assert (
        explained(step, answered(status), is_server=True) == f"{step}: it was answered {status}: in general, a guess."
    )


@pytest.mark.parametrize(
    ("step", "status", "advice"),
    [
        (WRITE, 404, "the directory of the host's URL"),
        (WRITE, 409, "the directory of the host's URL"),
        (WRITE, 500, "the directory of the host's URL"),
        (WRITE, 403, "let the server take this from this machine's address"),
        (WRITE_BELOW, 403, "let it MKCOL"),
        (WRITE_BELOW, 404, "let it MKCOL"),
        (DELETE, 405, "let the server DELETE"),
        (REPLACE, 405, "let the server do this"),
        (READ, 403, "let the server's user read"),
    ],
)
def test_step_may_have_advice_of_its_own(step, status, advice):
    assert advice in explained(step, answered(status), is_server=True)


@pytest.mark.parametrize("status", [403, 409, 500, 502])
def test_refusal_of_a_move_may_be_the_fault_of_a_proxy(status):
    action = Action("upload", "host", "a", HostURL("http", "host", 80, "/"))
    sentence = explained(WRITE, action.unexpected(Response(status, "", {}), "MOVE"), is_server=True)
    assert sentence.startswith(f"{WRITE}: MOVE was answered {status}")
    assert "proxy" in sentence
    assert "Destination" in sentence


def test_host_that_is_no_server_is_not_asked_for_one():
    silent = failure(HostUnavailableError, None)
    assert explained(WRITE, silent, is_server=True).endswith("; is the server running, and is this its address?")
    assert explained(WRITE, silent, is_server=False) == f"{WRITE}: it failed."
    missing = failure(RemoteFileNotFoundError, None)
    assert "server" in explained(READ, missing, is_server=True)
    assert "server" not in explained(READ, missing, is_server=False)


# Real servers.


def said(url, **options):
    """Return what is said of a server to which nothing can be written."""
    transport = HttpTransport("/", **options)
    with pytest.raises(TransportError) as caught:
        transport.create(url, "a", b"")
    return explained(WRITE, caught.value, is_server=True)


@pytest.mark.parametrize("status", [202, 302, 308, 403, 404, 405, 409, 413, 418, 500, 501, 507])
def test_host_that_refuses_uploads(status, resto_server):
    resto_server.fault_methods, resto_server.refuse_code = {"PUT"}, status
    assert f"A file cannot be written: PUT was answered {status}" in said(resto_server.url)


def test_host_that_says_200_to_uploads_and_has_none(resto_server):
    resto_server.fault_methods, resto_server.refuse_code = {"PUT"}, 200
    assert "A file cannot be written: it said 200 to PUT, but does not have the file" in said(resto_server.url)


def test_certificate_of_an_unknown_authority(media_servers):
    text = said(media_servers("nginx-https").url)
    assert "its certificate is not trusted" in text
    assert "'ca_bundle'" in text


@pytest.mark.parametrize(
    ("address", "names", "lasts", "advice"),
    [
        (ADDRESS, ["media.example.com"], 1, "the name that its certificate is for"),
        ("localhost", ["media.example.com"], 1, "the name that its certificate is for"),
        (ADDRESS, [ADDRESS], -1, "; renew it."),
    ],
)
def test_certificate_that_is_not_valid(address, names, lasts, advice, resto_server_factory, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expires = datetime.now(UTC) + timedelta(days=lasts)
    authority.issue_cert(*names, not_before=expires - timedelta(days=9), not_after=expires).configure_cert(context)
    server = resto_server_factory(ssl_context=context)
    text = said(server.url.replace(ADDRESS, address), ca_bundle=str(tmp_path / "ca.pem"))
    assert "its certificate is not trusted" in text
    assert advice in text


def test_https_where_the_server_speaks_http(resto_server_factory):
    text = said(resto_server_factory().url.replace("http:", "https:"))
    assert "TLS failed" in text
    assert "http://" in text


def test_http_where_the_server_speaks_https(media_servers):
    text = said(media_servers("nginx-https").url.replace("https:", "http:"))
    assert "PUT was answered 400 Bad Request; does the server want https://" in text


def test_full_disk_is_no_advice_where_the_server_would_say_so():
    error = UnexpectedStatusCode(
        "media-1", "a", "upload", 405, f"PUT was answered 405: {CONFIGURED} (nginx: dav_methods)"
    )
    told = explained(WRITE, error, is_server=True)
    assert (
        told
        == "A file cannot be written: PUT was answered 405; let the server do this (nginx: dav_methods PUT DELETE MKCOL MOVE; Apache: Dav On)."
    )

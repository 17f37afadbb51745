import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from resto.exceptions import ConfigurationError
from resto.transports.credentials import (
    ReactiveAuthenticator,
    RequestsAuthenticator,
    authenticator,
    is_header,
)


class TokenAuth(AuthBase):
    """A stateless auth object."""

    def __init__(self, value="Token abc"):
        self.value = value

    def __call__(self, request):
        request.headers["Authorization"] = self.value
        return request


class BrokenAuth(AuthBase):
    def __call__(self, request):
        raise ValueError("s3cret is not a token")


def test_no_credential_is_no_authenticator():
    assert authenticator(None, None) is None


@pytest.mark.parametrize("pair", [("user", "pass:word é"), ["user", "pass:word é"]], ids=["tuple", "list"])
@pytest.mark.parametrize("scheme", [None, "basic"])
def test_user_and_password_are_basic(pair, scheme):
    headers = authenticator(pair, scheme).headers
    kind, _, token = headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(token).decode()) == ("Basic", "user:pass:word é")


def test_names_are_looked_up(settings):
    settings.RESTO_SECRETS = {"media": ("user", "password"), "token": "abc", "headers": {"X-Key": "abc"}}
    assert authenticator("media", None).headers == authenticator(("user", "password"), None).headers
    assert authenticator("token", None).headers == {"Authorization": "Bearer abc"}
    assert authenticator("headers", None).headers == {"X-Key": "abc"}


def test_an_unknown_name_is_an_error_that_lists_the_known(settings):
    settings.RESTO_SECRETS = {"media": "s3cret", "backup": "s3cret"}
    with pytest.raises(ConfigurationError, match=r"backup, media") as info:
        authenticator("medai", None)
    assert "s3cret" not in str(info.value)


def test_without_credentials_there_is_no_name(settings):
    settings.RESTO_SECRETS = {}
    with pytest.raises(ConfigurationError, match="It has: none"):
        authenticator("media", None)


def test_digest_makes_one_auth_object_per_use():
    auth = authenticator(("user", "password"), "digest")
    assert isinstance(auth, ReactiveAuthenticator)
    assert isinstance(auth.create_auth(), HTTPDigestAuth)
    assert auth.create_auth() is not auth.create_auth()


def test_an_auth_object_that_looks_at_requests_only_is_stateless():
    assert isinstance(authenticator(HTTPBasicAuth("user", "password"), None), RequestsAuthenticator)
    assert isinstance(authenticator(TokenAuth(), None), RequestsAuthenticator)


def test_an_auth_object_that_reacts_to_answers_is_noticed():
    auth = HTTPDigestAuth("user", "password")
    assert authenticator(auth, None).create_auth() is auth


@pytest.mark.parametrize(
    ("auth", "scheme", "problem"),
    [
        (None, "basic", "without auth"),
        (("u", "p"), "ntlm", "'basic' or 'digest'"),
        (("s3cret", "s3cret", "s3cret"), None, "two strings"),
        (("s3cret", b"s3cret"), None, "two strings"),
        (("s3cret:s3cret", "p"), None, "must not contain ':'"),
        (("user", "s3cret\udcff"), None, "encoded as UTF-8"),
        (("s3cret\r\nX: y", "p"), "digest", "control characters"),
        (("s3cret\u00e9", "p"), "digest", "printable ASCII"),
        (("user", "s3cret\n"), None, "the password in the credential ends with the end of a line"),
        (("s3cret\r\n", "p"), None, "the user in the credential ends with the end of a line"),
        (("user", "s3\x00cret"), None, "the password in the credential has control characters"),
        (("", "s3cret"), None, "the user in the credential is empty"),
        (("s3cret", ""), "digest", "the password in the credential is empty"),
        (('s3cret"', "p"), "digest", "without quotes"),
        ({"X-Key": "s3cret\r\nX: y"}, None, "printable ASCII"),
        ({"X-Key": "s3cret é"}, None, "printable ASCII"),
        ({"X-Key": 1}, None, "printable ASCII"),
        ({"s3cret key": "x"}, None, "not the name of an HTTP header"),
        ({"": "x"}, None, "not the name of an HTTP header"),
        ({1: "x"}, None, "not the name of an HTTP header"),
        ({"content-LENGTH": "0"}, None, "frames the request"),
        ({"X-Key": "s3cret"}, "basic", "needs a credential (user, password)"),
        (5, None, "type int is of no known form"),
        (BrokenAuth(), None, "BrokenAuth failed: ValueError"),
        (TokenAuth("s3cret\n"), None, "'Authorization' with a value that is not printable ASCII"),
        (lambda request: None, None, "failed: AttributeError"),
    ],
)
def test_a_wrong_credential_is_an_error_that_does_not_show_it(auth, scheme, problem):
    with pytest.raises(ConfigurationError) as info:
        authenticator(auth, scheme)
    assert problem in str(info.value)
    assert info.value.code == "E008"
    assert "s3cret" not in repr(info.value) + str(info.value) + str(info.value.__cause__)


@pytest.mark.parametrize(
    ("auth", "scheme", "shows"),
    [
        (("user", "password"), None, True),
        (("user", "password"), "digest", False),
        ({"X-Key": "abc"}, None, True),
        (HTTPBasicAuth("user", "password"), None, True),
        (HTTPDigestAuth("user", "password"), None, False),
        (TokenAuth("Bearer abc"), None, True),
        (TokenAuth(b"bearer abc"), None, True),
        (TokenAuth("AWS4-HMAC-SHA256 Credential=abc"), None, False),
    ],
)
def test_who_shows_the_secret(auth, scheme, shows):
    assert authenticator(auth, scheme).shows_secret is shows


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_a_scheme_needs_user_and_password(settings, scheme):
    settings.RESTO_SECRETS = {"token": "s3cret"}
    with pytest.raises(ConfigurationError, match="needs a credential"):
        authenticator("token", scheme)


@given(st.text(), st.text())
def test_credentials_never_show(user, password):
    try:
        shown = repr(authenticator((user, f"s3cret{password}"), None))
    except ConfigurationError as error:
        shown = repr(error)
    assert "s3cret" not in shown


@given(st.text(), st.text())
def test_a_header_is_one_line(name, value):
    if is_header(name, value):
        line = f"{name}: {value}".encode("ascii")
        assert line.splitlines() == [line]
        assert not set(name) & set(":\r\n \t")


@pytest.mark.parametrize("value", ["", "abc", 'Digest a="b", c', "~!@#$%^&*()"])
def test_usual_header_values_are_headers(value):
    assert is_header("Authorization", value)

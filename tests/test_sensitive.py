"""What Django tells of an exception holds no secret, whatever is wrong."""

import inspect
import socket
import ssl
import traceback
from base64 import b64encode
from contextlib import closing
from functools import partial
from types import MappingProxyType

import django
import pytest
import requests
from django.core import mail
from django.views.debug import SafeExceptionReporterFilter, get_default_exception_reporter_filter
from django.views.decorators.debug import sensitive_variables as of_django
from requests.auth import AuthBase, HTTPBasicAuth

from kit.reports import debug_page, report, send_mail
from resto.courses import finish
from resto.exceptions import ConfigurationError
from resto.executors import rq
from resto.executors.rq import RqExecutor
from resto.hosts import parse_url
from resto.plugins import get_plugin_manager
from resto.sensitive import sensitive_variables
from resto.settings import get_credential
from resto.storage import DistributedStorage
from resto.storage.signing import signing_of
from resto.transports import credentials
from resto.transports.base import Transport
from resto.transports.begun import Begun
from resto.transports.bodies import Body
from resto.transports.connection import Connection
from resto.transports.credentials import HeaderAuthenticator, authenticator
from resto.transports.heads import EXPECT_SIZE, Heads
from resto.transports.http import HttpTransport
from resto.transports.idle import IdlePool
from resto.transports.messages import Request
from resto.transports.webdav import WebDAVTransport


SECRET = "hunter2"  # what to look for

# Of each kind. The names of some hide what they stand for, wherever they are; those of others do not.
SECRETS = {
    "media": ("media-user", f"{SECRET}-basic"),
    "backup": ["backup-user", f"{SECRET}-list"],
    "bearer": f"{SECRET}-bearer",
    "token": f"{SECRET}-token",
    "gateway": {"X-Gateway": f"{SECRET}-header", "Authorization": f"Custom {SECRET}-custom"},
    "frozen": MappingProxyType({"X-Gateway": f"{SECRET}-proxy"}),
    "queue": f"redis://:{SECRET}-redis@localhost:6379/0",
    f"{SECRET}-name": "name",
}


# The decorator.


def fails(secret):
    copy = f"{secret}"
    nested(copy)


def nested(secret):
    raise RuntimeError(len(secret))


def failure_of(function, *args, **kwargs):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        function(*args, **kwargs)
    return caught.value


def hidden(function):
    # Not a literal: the lines of a program are shown too.
    return SECRET not in report(failure_of(function, SECRET))


def test_variables_are_hidden_as_by_the_one_of_django():
    assert not hidden(fails)
    assert hidden(of_django()(fails))
    assert hidden(sensitive_variables()(fails))


def test_variables_are_shown_while_debugging(settings):
    settings.DEBUG = True
    assert not hidden(sensitive_variables()(fails))


def test_function_remains_what_it_is():
    decorated = sensitive_variables()(failure_of)
    assert inspect.signature(decorated) == inspect.signature(failure_of)
    assert decorated.__name__ == "failure_of"
    assert sensitive_variables()(len)("abc") == 3


# The setting.


urlpatterns = []  # of the site whose errors are shown


@pytest.fixture
def secrets(settings):
    settings.ROOT_URLCONF = __name__
    settings.RESTO_SECRETS = SECRETS


@pytest.mark.usefixtures("secrets")
def test_setting_is_hidden_as_a_whole():
    safe = SafeExceptionReporterFilter().get_safe_settings()
    assert safe["RESTO_SECRETS"] == get_default_exception_reporter_filter().cleansed_substitute
    assert SECRET not in repr(safe)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("accepts", ["text/html", "text/plain"])
@pytest.mark.parametrize("debug", [True, False])
def test_debug_page_does_not_show_it(rf, settings, accepts, debug):
    settings.DEBUG = debug
    page = debug_page(rf.get("/"), accepts=accepts)
    assert "RESTO_SECRETS" in page
    assert SECRET not in page


@pytest.mark.usefixtures("secrets")
def test_mail_does_not_show_it(rf, settings):
    settings.ADMINS = ["admin@example.com"] if django.VERSION >= (6,) else [("Admin", "admin@example.com")]
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # from 6.1 on
    send_mail(rf.get("/"))
    [message] = mail.outbox
    [(html, _)] = message.alternatives
    for text in (message.body, html):
        assert "RESTO_SECRETS" in text
        assert SECRET not in text


def test_old_name_would_be_shown(settings):
    """Which is why there is a new one. If this fails, Django hides both."""
    settings.RESTO_CREDENTIALS = SECRETS
    assert SECRET in repr(SafeExceptionReporterFilter().get_safe_settings())


# Credentials that are wrong.


class BrokenAuth(AuthBase):
    def __init__(self, secret):
        self.secret = secret

    def __repr__(self):
        return self.secret

    def __call__(self, request):
        raise ValueError(self.secret)


class BadAuth(BrokenAuth):
    def __call__(self, request):
        request.headers["X-Key"] = f"{self.secret}\n"
        return request


WRONG = {
    "unknown scheme": ((SECRET, SECRET), "ntlm"),
    "colon in the user": ((f"user:{SECRET}", SECRET), None),
    "three of two": ((SECRET, SECRET, SECRET), None),
    "one of two": ([SECRET], None),
    "bytes": (("user", SECRET.encode()), None),
    "no UTF-8": (("user", f"{SECRET}\udcff"), None),
    "line break in the user": ((f"{SECRET}\r\nX: y", SECRET), "digest"),
    "quote in the user": ((f'"{SECRET}', SECRET), "digest"),
    "line break in a token": (f"{SECRET}\nX: y", None),
    "token that is not ASCII": (f"{SECRET} é", None),
    "token for Basic": (SECRET, "basic"),
    "line break in a header": ({"X-Key": f"{SECRET}\r\nX: y"}, None),
    "bytes in a header": ({"X-Key": SECRET.encode()}, None),
    "space in the name of a header": ({f"{SECRET} key": SECRET}, None),
    "header that frames": ({"Content-Length": SECRET}, None),
    "header for Digest": ({"X-Key": SECRET}, "digest"),
    "set": ({SECRET}, None),
    "bytes alone": (SECRET.encode(), None),
    "object that fails": (BrokenAuth(SECRET), None),
    "object that breaks lines": (BadAuth(SECRET), None),
    "object for Basic": (HTTPBasicAuth(f"{SECRET}\n", SECRET), "basic"),
}


def assert_silent(error):
    assert isinstance(error, ConfigurationError)
    assert SECRET not in report(error)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "literal"])
@pytest.mark.parametrize(("credential", "scheme"), WRONG.values(), ids=WRONG)
def test_wrong_credential_is_not_reported(settings, credential, scheme, is_named):
    """Whoever makes the transport: a test, a plugin, or a storage that is asked to save something."""
    settings.RESTO_SECRETS = {"media": credential}
    auth = "media" if is_named or isinstance(credential, str) else credential
    options = {"auth": auth, "auth_scheme": scheme}
    assert_silent(failure_of(authenticator, auth, scheme))
    assert_silent(failure_of(HttpTransport, "/media/", **options))
    assert_silent(failure_of(WebDAVTransport, "/media/", **options))
    for host, common in [("media-1", options), ({"url": "media-1"} | options, {})]:
        storage = DistributedStorage([host], transport_options=common)
        assert_silent(failure_of(storage.exists, "a.txt"))


@pytest.mark.parametrize(
    "function", [get_credential, HttpTransport, RqExecutor], ids=lambda function: function.__name__
)
def test_secret_in_the_place_of_its_name_is_not_reported(settings, function):
    settings.RESTO_SECRETS = {"media": SECRET}
    arguments = {
        get_credential: {"name": SECRET, "option": "auth"},
        HttpTransport: {"base_url": "/media/", "auth": SECRET},
        RqExecutor: {"url": SECRET},
    }
    assert_silent(failure_of(function, **arguments[function]))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (HeaderAuthenticator, [{"X-Key": f"{SECRET}\n"}]),
        (credentials._check_header, ["X-Key", f"{SECRET}\n"]),
        (credentials._for_user, [(f"user:{SECRET}", SECRET), "basic"]),
        (credentials._for_requests_auth, [BrokenAuth(SECRET)]),
        (rq._connect, [f":{SECRET}@localhost:6379/0"]),
        (rq._connect, [f"http://:{SECRET}@localhost:6379/0"]),
        (partial(get_plugin_manager().create_transport, auth=(SECRET,)), ["http", "/media/"]),
        (partial(get_plugin_manager().create_executor, url=SECRET), ["rq"]),
        (partial(get_plugin_manager().create_executor, lru=SECRET), ["rq"]),
        (signing_of, ["nginx", {"key": SECRET}]),
        (signing_of, [None, {"key": SECRET}]),
        (signing_of, ["nginx", [SECRET]]),
    ],
)
def test_functions_that_complain_hide_what_they_hold(function, arguments):
    """Each by itself, whoever calls it."""
    assert_silent(failure_of(function, *arguments))


class PickyTransport(Transport):
    """Raises something of its own, which has no secret, and holds one."""

    exists = size = open = create = delete = lambda *args: None

    def __init__(self, base_url, *, timeout, key):
        super().__init__(base_url, timeout=timeout)
        copy = key + key
        raise LookupError(len(copy))


@pytest.mark.parametrize(
    "options",
    [
        {"transport": PickyTransport, "transport_options": {"key": SECRET}},
        {"transport_options": {"kye": SECRET}},
        {"transport_options": [SECRET]},
        {"transport_options": {"auth": ("user", SECRET), "ca_bundle": "/missing"}},
        {"executor_options": {"url": SECRET}},
        {"executor_options": SECRET},
        {"sign": "nginx", "sign_options": {"key": SECRET}},
        {"sign": "nginx", "sign_options": {"key": (SECRET,)}},
        {"hosts": [f"https://user:{SECRET}@media-1/"]},
        {"hosts": {"url": "media-1", "auth": ("user", SECRET)}},
        {"hosts": [{"ulr": "media-1", "auth": ("user", SECRET)}]},
        {"hosts": ["media-1", {"url": "media-1", "auth": ("user", SECRET)}]},
    ],
    ids=repr,
)
def test_options_that_hold_a_secret_are_not_reported(options):
    storage = DistributedStorage(**{"hosts": ["media-1"]} | options)
    assert_silent(failure_of(storage.exists, "a.txt"))


# Requests that fail.


class Trap:
    """A socket that takes nothing, and the connection that it is."""

    largest = None

    @property
    def sock(self):
        return self

    def send(self, data):
        raise ssl.SSLError(len(data))

    sendall = send

    def settimeout(self, timeout):
        pass

    close = settimeout


def test_head_that_cannot_be_sent_is_not_reported():
    heads = [f"Authorization: Bearer {SECRET}".encode()]
    assert SECRET not in report(failure_of(Begun(Trap(), iter(heads), ("PUT", "/a")).send))
    url = parse_url("http://media-1/", "")
    with socket.socket() as sock:
        secretive = Heads(url, authenticator({"Authorization": f"Bearer {SECRET}"}, None))
        sender = Connection(sock, secretive, 1)
        sender.sock = Trap()
        large = Request("PUT", "/a", body=Body(bytes(EXPECT_SIZE + 1)))
        assert SECRET not in report(failure_of(finish, sender.exchange(large, IdlePool())))


class LateAuth(AuthBase):
    """One whose token becomes worse."""

    def __init__(self):
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        request.headers["X-Key"] = "good" if self.calls == 1 else f"{SECRET}\n"
        return request


WAYS = {
    "basic": {"auth": ("user", SECRET)},
    "digest": {"auth": ("user", SECRET), "auth_scheme": "digest"},
    "header": {"auth": {"X-Gateway": SECRET}},
    "object": {"auth": HTTPBasicAuth("user", SECRET)},
    "late": {},
}


@pytest.mark.parametrize(("knob", "value"), [("refuse", True), ("drop_answer", True), ("refuse_code", 401)])
@pytest.mark.parametrize("session", [None, requests.Session], ids=["", "session"])
@pytest.mark.parametrize("way", WAYS)
def test_request_that_fails_is_not_reported_with_a_secret(resto_server, way, session, knob, value):
    options = WAYS[way] | ({"session": session} if session else {})
    if way == "late":
        options["auth"] = LateAuth()
    setattr(resto_server, knob, value)
    with closing(HttpTransport("/media/", timeout=0.5, **options)) as http:
        for act in (http.content, http.exists):
            told = report(failure_of(act, resto_server.url, "a.txt"))
            assert SECRET not in told
            assert b64encode(f"user:{SECRET}".encode()).decode() not in told

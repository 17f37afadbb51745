"""Any answer ends in a right result, or in a `RestoError` that names the host, within the time, and in bounded memory.

Whatever a server says, or does not say: what is garbled, huge, endless, trickled, doubled, or cut; XML and JSON that are hostile. `make explore`
tries tens of thousands of answers.
"""

import contextlib
import io
import logging
import tempfile
import time
import tracemalloc
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
from django.core.files.base import ContentFile
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase, HTTPBasicAuth

from kit.liar import ANY, FILES, ON_THEIR_WAY, Harm, Liar, Lie
from resto import health
from resto.exceptions import RestoError, TransportError
from resto.repair import probe
from resto.repair.probe import HostProbe, probe_hosts
from resto.repair.sync import SyncOptions, SyncReport, synchronize
from resto.repair.sync import hosts as sync_hosts
from resto.storage import DistributedStorage, HybridStorage
from resto.testing import TestHttpServer
from resto.transports import limits, publishing, steps
from resto.transports.base import Directory, Trial
from resto.transports.http import HttpTransport
from resto.transports.streams import AnswerStream
from resto.transports.webdav import WebDAVTransport


EXAMPLES = 20_000 if settings.default.max_examples > 100 else 60

TIMEOUT = 0.03

# Seconds that an action may take, of which each has some dozens of requests at most; and bytes, beside the limits below.
LONGEST, MOST = 20, 12 * 1024**2

LIMITS = {"max_listing": 256 * 1024, "max_download": 1024**2, "timeout": TIMEOUT}


@pytest.fixture(scope="module")
def liar():
    with contextlib.closing(Liar()) as server:
        yield server


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch, caplog):
    """Let nobody wait for long, nor log anything."""
    caplog.set_level(logging.CRITICAL + 1, logger="resto")
    monkeypatch.setattr(limits, "PATIENCE", 3)
    monkeypatch.setattr(limits, "AT_WORK", 3)
    monkeypatch.setattr(steps, "LOCK_DELAYS", (0.001,) * 5)
    monkeypatch.setattr(publishing, "_SIZE_DELAYS", (0.001,))
    monkeypatch.setattr(sync_hosts, "sleep", lambda seconds: None)
    monkeypatch.setattr(probe, "_LOOKS", (0,))
    monkeypatch.setattr(probe, "_LARGE", 300_000)


class PageReader(AuthBase):
    """An auth object that looks at the page of a refusal, as those of Kerberos do."""

    def __call__(self, prepared):
        prepared.register_hook("response", lambda response, **options: response.content)
        return prepared


WIRES = {
    "connections": dict,
    "auth object": lambda: {"auth": HTTPBasicAuth("user", "password")},
    "session": lambda: {"session": requests.Session},
    "digest": lambda: {"auth": ("user", "password"), "auth_scheme": "digest"},
    "page reader": lambda: {"auth": PageReader(), "session": requests.Session},
}
TRANSPORTS = st.sampled_from(
    [
        (HttpTransport, {}),
        (WebDAVTransport, {}),
        (WebDAVTransport, {"publish": "put"}),
        (WebDAVTransport, {"publish": "move"}),
    ]
)
SERVERS = st.sampled_from(["", "nginx", "Apache/2.4", "rclone/v1.75", "WsgiDAV/4.4", "lighttpd/1.4"])


class Unseekable(io.RawIOBase):
    def __init__(self, content):
        super().__init__()
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


def read(transport, host, name):
    with transport.open(host, name) as stream:
        return b"".join(iter(lambda: stream.read(1000), b""))


LARGE = bytes(1_100_000)

# What is done, and the type of its result; what is written, and how.
READING = {
    "open": (read, bytes),
    "content": (lambda transport, host, name: transport.content(host, name), bytes),
    "exists": (lambda transport, host, name: transport.exists(host, name), bool),
    "size": (lambda transport, host, name: transport.size(host, name), int),
    "modified_time": (lambda transport, host, name: transport.modified_time(host, name), datetime),
    "age": (lambda transport, host, name: transport.age(host, name), timedelta),
    "browse": (lambda transport, host, name: transport.browse(host, ""), Directory | None),
    "listdir": (lambda transport, host, name: transport.listdir(host, ""), tuple),
    "scan": (lambda transport, host, name: list(transport.scan(host, "")), list),
    "try directories": (lambda transport, host, name: transport.try_directories(host), Trial | None),
    "remove a directory": (lambda transport, host, name: transport.remove_directory(host, ".resto-x"), bool),
    "tidy up": (lambda transport, host, name: transport.tidy_up(), None),
}
WRITING = {
    "create": (b"new", lambda transport, host, name, content: transport.create(host, name, content)),
    "create from a file": (
        b"y" * 300_000,
        lambda transport, host, name, content: transport.create(host, name, io.BytesIO(content)),
    ),
    "create what is announced": (LARGE, lambda transport, host, name, content: transport.create(host, name, content)),
    "create from a stream": (
        b"z" * 10,
        lambda transport, host, name, content: transport.create(host, name, Unseekable(content)),
    ),
    "delete": (None, lambda transport, host, name, content: transport.delete(host, name)),
}
STEPS = st.lists(
    st.tuples(st.sampled_from([*READING, *WRITING]), st.sampled_from([*FILES, "new/c.txt"])), min_size=1, max_size=3
)


@contextlib.contextmanager
def within_limits(plan):
    """Fail if it takes too long, or too much memory; that is looked at where a server sends much."""
    measures = any(
        harm.kind.startswith("endless") or (harm.lie and (len(harm.lie.body or b"") > 10_000)) for harm in plan
    )
    if measures:
        tracemalloc.start()
    started = time.monotonic()
    try:
        yield
        taken = time.monotonic() - started
        assert taken < LONGEST
        assert not measures or tracemalloc.get_traced_memory()[1] < MOST
    finally:
        if measures:
            tracemalloc.stop()


def act(transport, host, name, step):
    """Do one step, and return its result, which is of the right type."""
    if step in WRITING:
        content, action = WRITING[step]
        result = action(transport, host, name, content)
        assert isinstance(result, bool)
        return result
    action, kind = READING[step]
    result = action(transport, host, name)
    assert kind is None or isinstance(result, kind)
    if kind is int:
        assert result >= 0
    if kind is datetime:
        assert result.tzinfo
    return result


def names_host(error, host):
    assert isinstance(error, TransportError)
    assert error.host == host
    assert str(error).startswith(host)


def obey(liar, wire, plan, transport, server, todo, is_right=lambda step, name, result, before: True):
    """Do all steps, and make sure that each ends in a right result, or in an error that names the host."""
    liar.begin(plan, server)
    kind, options = transport
    is_failed = False
    with contextlib.closing(kind("", **LIMITS, **options, **WIRES[wire]())) as sender, within_limits(plan):
        for step, name in todo:
            before = dict(liar.site.files)
            try:
                result = act(sender, liar.url, name, step)
            except RestoError as error:
                names_host(error, liar.url)
                is_failed = True  # and may still be carried out
            else:
                assert is_failed or is_right(step, f"/media/{name}", result, before)


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=EXAMPLES // 2 // len(WIRES))
@given(plan=ANY, transport=TRANSPORTS, server=SERVERS, todo=STEPS)
def test_any_answer_ends_in_a_result_or_an_error_that_names_the_host(liar, wire, plan, transport, server, todo):
    obey(liar, wire, plan, transport, server, todo)


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=EXAMPLES // 4 // len(WIRES))
@given(plan=ON_THEIR_WAY, transport=TRANSPORTS, server=SERVERS, todo=STEPS)
def test_what_happens_to_answers_on_their_way_makes_no_result_wrong(liar, wire, plan, transport, server, todo):
    def is_right(step, path, result, before):
        if step in WRITING:
            return liar.site.files.get(path) == WRITING[step][0]
        if step in ("open", "content"):
            return result == before[path]
        directories, files = liar.site.listing("/media/")
        right = {
            "exists": lambda: result is (path in before),
            "size": lambda: result == len(before[path]),
            "listdir": lambda: [*map(set, result)] == [directories, set(files)],
            "browse": lambda: result in (None, Directory(directories, files)),
            "scan": lambda: (
                {f"/media/{one.name}": one.size for one in result} == {name: len(before[name]) for name in before}
            ),
        }
        return right.get(step, lambda: True)()

    obey(liar, wire, plan, transport, server, todo, is_right)


def believe_numbers(patch):
    patch.setattr(steps, "natural", lambda text: None if text is None else int(text))


def believe_dates(patch):
    patch.setattr(steps, "parse_http_date", lambda text: None if text is None else parsedate_to_datetime(text))


def believe_what_was_cut(patch):
    patch.setattr(AnswerStream, "_read", lambda self, size: self._answer.read(size))


@pytest.mark.parametrize(
    ("break_it", "harm", "step"),
    [
        (believe_numbers, Harm("none", 0, b"", Lie(None, (("Content-Length", "x"),), None, "none", ()), False), "size"),
        (believe_dates, Harm("none", 0, b"", Lie(None, (("Last-Modified", "x"),), None, "true", ()), False), "age"),
        (believe_what_was_cut, Harm("cut", 2000, b"", None, False), "content"),
    ],
)
def test_the_law_is_broken_by_who_believes_a_host(liar, monkeypatch, break_it, harm, step):
    def is_right(step, path, result, before):
        return step != "content" or result == before[path]

    example = ("connections", [harm], (HttpTransport, {}), "", [(step, "d/b.txt")], is_right)
    obey(liar, *example)
    break_it(monkeypatch)
    with pytest.raises((ValueError, AssertionError)):
        obey(liar, *example)


# Storages, and what goes over all of their files.


def names_any_host(error, hosts):
    assert isinstance(error, OF_DJANGO) or any(host in str(error) for host in hosts)


def save(storage, name):
    return storage.save(name, ContentFile(b"content"))


def read_all(storage, name):
    with storage.open(name) as file:
        return file.read()


USES = {
    "save": save,
    "open": read_all,
    "delete": lambda storage, name: storage.delete(name),
    "exists": lambda storage, name: storage.exists(name),
    "size": lambda storage, name: storage.size(name),
    "listdir": lambda storage, name: storage.listdir(""),
    "modified_time": lambda storage, name: storage.get_modified_time(name),
    "sync": lambda storage, name: compared(storage),
    "sync and delete": lambda storage, name: compared(storage, delete=True, checksum=True, max_delete=100),
    "dry sync": lambda storage, name: compared(storage, dry_run=True),
}

# What Django's own storage raises, where the file is not there, or is.
OF_DJANGO = (FileNotFoundError, FileExistsError, IsADirectoryError, NotImplementedError)


def compared(storage, **options):
    found = []
    report = synchronize(storage, SyncOptions(**options), found.append)
    assert isinstance(report, SyncReport)


@pytest.fixture(scope="module")
def other_server():
    with TestHttpServer() as server:
        yield server


@settings(max_examples=EXAMPLES // 5)
@given(
    plan=ANY,
    transport=TRANSPORTS,
    server=SERVERS,
    kind=st.sampled_from([HybridStorage, DistributedStorage]),
    uses=st.lists(st.tuples(st.sampled_from([*USES]), st.sampled_from([*FILES, "new/c.txt"])), min_size=1, max_size=3),
)
def test_any_answer_ends_in_a_result_or_an_error_of_a_storage(liar, other_server, plan, transport, server, kind, uses):
    liar.begin(plan, server)
    transport_kind, options = transport
    with tempfile.TemporaryDirectory() as location, within_limits(plan):
        Path(location, "a.txt").write_bytes(b"content")
        other_server.create_file("a.txt", b"content")
        more = [location] if kind is HybridStorage else []
        storage = kind(
            [liar.url, other_server.url],
            "/media/",
            *more,
            transport=transport_kind,
            transport_options={**LIMITS, **options},
        )
        for use, name in uses:
            health.forget()
            try:
                USES[use](storage, name)
            except RestoError as error:
                names_any_host(error, [liar.url, other_server.url])
            except OF_DJANGO:
                pass


@settings(max_examples=EXAMPLES // 20)
@given(plan=ANY, transport=TRANSPORTS, server=SERVERS)
def test_any_answer_ends_in_a_result_of_the_probe(liar, settings, plan, transport, server):
    liar.begin(plan, server)
    kind, options = transport
    settings.STORAGES = {
        "default": {
            "BACKEND": "resto.storage.DistributedStorage",
            "OPTIONS": {"hosts": [liar.url], "transport": kind, "transport_options": {**LIMITS, **options}},
        }
    }
    health.forget()
    with within_limits(plan):
        [found] = probe_hosts()
    assert isinstance(found, HostProbe)
    assert found.host == liar.url

"""One kind of server after the other, with each transport; `make servers` names the kind, and reads what was found.

The flows run with a few servers that are installed anyway if it names none; the contract does so in `tests/transports`.
"""

import json
import logging
import os
import re
from pathlib import Path

import pytest
from django.core.files.storage import storages

from other_servers.site import Site
from resto.record import leases
from resto.transports.http import HttpTransport
from resto.transports.webdav import WebDAVTransport


KIND = os.environ.get("RESTO_OTHER_SERVER")
BRIEF = [("nginx", "http"), ("apache", "webdav"), ("wsgidav", "webdav")]
CASES = BRIEF if KIND is None else [(KIND, "http"), (KIND, "webdav")]
# What the transport "webdav" has to be told; the table says so.
OPTIONS = {"copyparty": {"publish": "put"}}
TRANSPORTS = {"http": HttpTransport, "webdav": WebDAVTransport}

REPORT = os.environ.get("RESTO_OTHER_REPORT")
FOUND = {}

collect_ignore = ["test_page.py"] if KIND else ["test_whole_contract.py"]


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids="-".join, indirect=True, scope="module")


@pytest.fixture(scope="module")
def case(request):
    """The kind of server, and the transport."""
    return request.param


@pytest.fixture
def options(case):
    """What the transport has to be told of this kind."""
    return OPTIONS.get(case[0], {}) if case[1] == "webdav" else {}


@pytest.fixture
def server(case, media_servers):
    """The server of all tests, with a directory for each."""
    return media_servers(case[0])


@pytest.fixture
def site(settings, case, options, server, media_root, identities_apply, monkeypatch, caplog):
    """A site with a host on the server, which waits for nothing before it tries again."""
    caplog.set_level(logging.CRITICAL + 1, logger="resto")
    monkeypatch.setattr(leases, "retry_delay", lambda retries: 0.0 if retries < 5 else 60.0)

    def make(kind, hosts, **others):
        of_transport = {"transport": case[1], "transport_options": options}
        all_options = {"hosts": hosts, "fatal_exceptions": False, **of_transport, **others}
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": all_options}}
        return storages["default"]

    return Site(make, server, case[1], media_root)


def pytest_runtest_logreport(report):
    """Keep what each test has come to; of one that was skipped, nothing."""
    case = re.search(r"\[(?:.*-)?(http|webdav)\]$", report.nodeid)
    if case is None or report.skipped:
        return
    results = FOUND.setdefault(case[1], {})
    name = re.sub(r".*::(\w+)\[.*", r"\1", report.nodeid)
    if report.failed:
        lines = re.findall("^E   (?:   )?(.*)$", report.longreprtext, re.MULTILINE)
        results[name] = next((line for line in lines if line.strip()), report.longreprtext[-500:])
    elif report.when == "call":
        results.setdefault(name, None)


def pytest_sessionfinish():
    if REPORT:
        Path(REPORT).write_text(json.dumps(FOUND), encoding="utf-8")

"""A plugin of pytest: runs the suite of a package over the storage that CONSUMERS_STORAGE names, and writes what has failed.

It has to be loaded before anything of the package is: ``-p sites.consumers.plugin``.
"""

import json
import os
import re
import unittest
from pathlib import Path

import pytest

from resto.testing import TestHttpServer
from sites.consumers.hosts import CLASSES, Hosts
from sites.django_suite.stand_in import install


KIND = os.environ["CONSUMERS_STORAGE"]
HOSTS = Hosts(KIND, [TestHttpServer().start() for _ in range(2)]) if KIND in CLASSES else None
COUNTED = set()
FAILED = {}
DIFFERENCES = {}

if HOSTS is not None:
    install(HOSTS.make_class())

    # Before `tearDown`, which may remove the directory with the master copy.
    def _tear_down(self, *args, _tear_down=unittest.TestCase._callTearDown):
        look(self.id())
        return _tear_down(self, *args)

    unittest.TestCase._callTearDown = _tear_down


@pytest.fixture(scope="session", autouse=True)
def _databases(django_db_setup, django_db_blocker):
    """Suites that were written for Django's runner use the database wherever they want."""
    with django_db_blocker.unblock():
        yield


def look(test):
    """Compare the hosts after a test."""
    found = HOSTS.differences()
    if found:
        DIFFERENCES.setdefault(test, found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    if HOSTS is not None:
        HOSTS.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    finally:
        if HOSTS is not None and getattr(item, "cls", None) is None:
            look(item.nodeid)


def pytest_runtest_teardown(item, nextitem):
    if HOSTS is not None and getattr(nextitem, "parent", None) is not item.parent:
        HOSTS.clear()


def pytest_runtest_logreport(report):
    if report.when == "call":
        COUNTED.add(report.nodeid)
    if report.failed:
        lines = re.findall("^E   (?:   )?(.*)$", report.longreprtext, re.MULTILINE)
        FAILED.setdefault(
            report.nodeid,
            [line for line in lines if re.match(r"[\w.]+(Error|Exception|Fail\w*)\b|assert ", line)] or lines,
        )


def pytest_collectreport(report):
    if report.failed:
        FAILED[report.nodeid] = [report.longreprtext]


def pytest_sessionfinish():
    written = {"count": len(COUNTED), "failed": FAILED, "differences": DIFFERENCES}
    Path(os.environ["CONSUMERS_REPORT"]).write_text(json.dumps(written), encoding="utf-8")

"""What all tests share."""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from kit.clock import Clock
from resto import health
from resto.record import database, leases
from resto.repair import overview, refusals
from resto.storage import own_hosts, recognition


# A job in the background of a script ignores Ctrl-C, and so would the tests of what Ctrl-C does, and their processes.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Temporary files are in memory where it has room for them: databases and brokers wait for a disk all the time.
_MEMORY, _ROOM = Path("/dev/shm"), 2 * 1024**3
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

pytest_plugins = ["kit.servers", "kit.brokers", "kit.browser", "kit.recognized", "pytester"]

# `make explore` has thousands of examples of each.
settings.register_profile(
    "default", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("explore", settings.get_profile("default"), max_examples=5_000, deadline=timedelta(minutes=1))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# Those that take longest come first, the longest before all: what begins last is what everybody waits for in the end.
TESTS = Path(__file__).parent
LONG = [
    "docs/test_docs.py",
    "workers/test_live_queues.py",
    "sites/test_live_site.py",
    "transports/test_contract.py",
    "storage/test_failures.py",
    "testing/play/test_views.py",
    "test_plugins_example.py",
    "management/test_watching.py",
    "sites/test_live_record.py",
    "test_benchmarks.py",
    "sites/test_boxes.py",
    "transports/test_limits.py",
    "storage/test_belief.py",
    "transports/test_chunks.py",
    "storage/test_instructions.py",
    "record/test_database.py",
    "sites/test_own_suite.py",
    "sites/test_two_versions.py",
    "sites/test_django_suite.py",
    "transports/test_http.py",
    "storage/test_distributed.py",
    "testing/test_demo.py",
    "testing/play/test_main.py",
    "storage/test_adopting.py",
    "docs/test_on_call.py",
    "sites/test_known_users.py",
    "laws/test_torture.py",
    "laws/test_identity_laws.py",
    "laws/test_pending_laws.py",
    "laws/test_truth_laws.py",
    "docs/test_capabilities.py",
    "management/commands/test_resto_sync.py",
    "record/test_plans.py",
    "page/test_live_page.py",
    "docs/test_servers_browser.py",
    "docs/test_servers_outside.py",
    "metrics/test_apps.py",
    "workers/test_jobs_record.py",
    "record/test_wishes.py",
    "storage/test_storage.py",
    "record/test_runs.py",
    "record/test_own.py",
    "test_sensitive.py",
    "transports/test_requests_wire.py",
    "docs/test_reference.py",
    "testing/test_plugin.py",
    "test_start.py",
    "test_misconfigurations.py",
]
assert [name for name in LONG if not (TESTS / name).exists()] == [], "these have other names now"


def pytest_collection_modifyitems(items):
    order = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))


# What takes seconds to start, by what is in the identifiers of the tests that share it: one process runs them all.
BROWSER = ["test_live_site.py", "test_servers_browser.py", "test_live_page.py", "play/test_views.py"]
DATABASES = ["postgresql", "mariadb"]
SHARED = {"rabbitmq": "RabbitMQ", **dict.fromkeys(DATABASES, "databases"), **dict.fromkeys(BROWSER, "browser")}


class Scheduling(LoadFileScheduling):
    """Gives a process whole files, but for tests that share something with those of another file."""

    def _split_scope(self, nodeid):
        shared = [what for part, what in SHARED.items() if part in nodeid]
        return shared[0] if shared else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Let a process of xdist report once of a test that has passed, and not five times: there are more than ten thousand."""
    if not hasattr(item.config, "workerinput") or item.config.option.durations is not None:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spare the garbage collector thousands of tests, which stay anyway; let one process of xdist compile them for all."""
    gc.disable()
    try:
        with Path(__file__).open() as first:
            try:
                fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(first, fcntl.LOCK_SH)
            return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _plain_environment():
    """No test depends on the environment of the person who runs it.

    Nor on the authorities that the system trusts, whom each TLS context of a client would read for 20 ms.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(variable, raising=False)
            patch.delenv(variable.upper(), raising=False)
        yield


@pytest.fixture
def resto_server_factory(resto_server_factory):
    """Servers that make no directories by themselves, unless a test says so: what copes with these copes with the others."""
    return partial(resto_server_factory, webdav=True)


@pytest.fixture
def without_application(settings):
    """A site that has not "resto" in INSTALLED_APPS."""
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "resto"]


@pytest.fixture(autouse=True)
def _fresh_breakers():
    """No test depends on the hosts that another one could not reach, and whose ports it may get."""
    health.forget()
    leases._unreachable.clear()
    leases._hastened.clear()


@pytest.fixture(autouse=True)
def _ctrl_c_stays():
    """A command that was run as from a terminal leaves Ctrl-C as it needs it."""
    yield
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def default_timeout(settings):
    """That of a site which does not set it, as the tests do."""
    settings.RESTO_TIMEOUT = None  # what is remembered of it is forgotten, now and at the end
    del settings.RESTO_TIMEOUT


@pytest.fixture
def breaker_clock(monkeypatch):
    """The clock of all breakers, whose pauses have no jitter."""
    clock = Clock()
    monkeypatch.setattr(health, "Breaker", partial(health.Breaker, clock, lambda low, high: 1))
    return clock


@pytest.fixture
def media_root(tmp_path, settings):
    """An empty master copy, as `MEDIA_ROOT`."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def new_overview():
    """Nobody has asked a moment ago how the site is."""
    overview.forget()
    yield
    overview.forget()


@pytest.fixture
def identities_apply(monkeypatch):
    """A site as in production: what directories and hosts say of themselves is asked for, and believed."""
    monkeypatch.setattr(database, "is_under_test", lambda: False)
    recognition._verdicts.clear()
    own_hosts.forget()
    refusals._looked.clear()
    yield
    recognition._verdicts.clear()
    own_hosts.forget()
    refusals._looked.clear()

"""A real browser: Chromium without a window, driven by selenium.

A pytest plugin, as `servers`: the session shares one (``browser``).
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from kit.servers import REQUIRED, clean_environment


PROGRAMS = ("chromium", "chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise
    "--no-proxy-server",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-breakpad",  # its crash handler outlives it
)
DEADLINE = 50  # seconds
WINDOW = 1000, 700  # pixels


def require_browser() -> None:
    """Skip the test that needs the browser; fail it where everything must be there."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        reason = f"needs Debian's chromium and chromium-driver: no {', '.join(missing)}"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason} ({REQUIRED} is set)")
        pytest.skip(reason)


@contextlib.contextmanager
def running_browser() -> Iterator[Chrome]:
    """Start a browser that knows nothing and keeps nothing."""
    require_browser()
    chromium, driver = (shutil.which(program) for program in PROGRAMS)
    with tempfile.TemporaryDirectory(prefix="resto-browser-", ignore_cleanup_errors=True) as home:
        options = ChromeOptions()
        options.binary_location = chromium
        options.add_experimental_option(
            "prefs", {"net.network_prediction_options": 2}
        )  # no idle connections in advance
        for flag in (*FLAGS, f"--user-data-dir={Path(home) / 'profile'}"):
            options.add_argument(flag)
        environment = clean_environment() | {"HOME": home, "TMPDIR": home}
        # With the path given, selenium looks for no driver, neither here nor elsewhere.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "localhost,127.0.0.1")
            browser = Chrome(options, Service(driver, env=environment))
        try:
            browser.set_page_load_timeout(DEADLINE)
            yield browser
        finally:
            browser.quit()
            _wait_for_processes(home)


@pytest.fixture(scope="session")
def session_browser() -> Iterator[Chrome]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def browser(session_browser: Chrome) -> Chrome:
    """The session's browser; it has forgotten who was logged in, and how large it was."""
    session_browser.set_window_size(*WINDOW)
    session_browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return session_browser


def submit(browser: Chrome, button: str) -> None:
    """Click what a CSS selector finds, and wait for the next page."""
    before = browser.execute_script("return performance.timeOrigin")  # each document has its own
    _click(browser, button)
    # Not staleness_of: to ask about an element while its document is replaced fails in chromedriver.
    loaded = f"return document.readyState === 'complete' && performance.timeOrigin !== {before!r}"
    WebDriverWait(browser, DEADLINE, poll_frequency=0.02).until(lambda driver: driver.execute_script(loaded))


def _click(browser: Chrome, button: str) -> None:
    """Click it, even if the page brings itself up to date at this moment."""
    while True:
        with contextlib.suppress(StaleElementReferenceException):
            browser.find_element(By.CSS_SELECTOR, button).click()
            return


def _wait_for_processes(home: str) -> None:
    """Wait until the last of the browser's processes has gone, and kill those that do not go."""
    deadline = time.monotonic() + DEADLINE
    while pids := _processes(home):
        if time.monotonic() > deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            msg = f"the browser left processes behind: {pids}"
            raise RuntimeError(msg)
        time.sleep(0.01)


def _processes(home: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            if f"HOME={home}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found

"""What axe-core, which knows what screen readers and others need, has against a page in a browser."""

import os
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from kit.servers import REQUIRED


# Where `make test` puts the package that has it.
FOLDER = Path(sys.prefix) / "axe"


@cache
def source() -> str:
    """Return axe-core; skip the test where it is missing, and fail it where everything must be there."""
    found = sorted(FOLDER.glob("axe_playwright_python-*.whl"))
    if not found:
        reason = f"axe-core is not in {FOLDER}: run make test"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason} ({REQUIRED} is set)")
        pytest.skip(reason)
    with zipfile.ZipFile(found[-1]) as wheel:
        return wheel.read("axe_playwright_python/axe.min.js").decode()


def violations(browser: Chrome, within: str, *without: str) -> list[str]:
    """Return what is wrong, and where.

    Args:
        browser: Shows the page.
        within: A CSS selector of what is looked at.
        without: Selectors of what is not.
    """
    browser.execute_script(source())
    found = browser.execute_async_script(
        "const [include, exclude, done] = arguments; axe.run({include, exclude}).then(results => done(results.violations))",
        [within],
        list(without),
    )
    return [f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}" for one in found for node in one["nodes"]]

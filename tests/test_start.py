"""What a site pays to import the storages: little time, and nothing that it does not use."""

import json
import os
import subprocess
import sys

import pytest


# What a site with files and a database has imported anyway, by the time that it makes its storages.
SITE = "import django.apps, django.core.files.storage, django.db.models"

MEASURE = f"""
import json, sys, time
{SITE}
before, start = set(sys.modules), time.process_time()
import resto.storage
seconds = time.process_time() - start
print(json.dumps([seconds, sorted(set(sys.modules) - before)]))
"""

# What a transport, an executor, a command or the admin needs, and only a site that uses it.
UNUSED = {"requests", "urllib3", "ssl", "http", "email", "rq", "redis", "celery", "kombu", "importlib.metadata"}

LIMIT = 0.060  # seconds

ATTEMPTS = 20


@pytest.fixture(scope="module")
def measure(tmp_path_factory):
    """A function that imports the storages in a new process, and returns the seconds of CPU, and what was imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.mktemp("compiled"))

    def run():
        command = [sys.executable, "-c", MEASURE]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    run()  # compiles
    return run


def test_storages_bring_nothing_that_is_not_used_yet(measure):
    _, modules = measure()
    assert "resto.record.leases" in modules
    assert [name for name in modules if name in UNUSED or name.startswith("django.contrib")] == []


def test_storages_are_imported_quickly(measure):
    """In the best of some attempts, as other processes share the caches; what is slow is so in all of them."""
    assert any(measure()[0] < LIMIT for _ in range(ATTEMPTS))

"""Django's own tests of its file storages hold for HybridStorage, but for some that are named here."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest


RUN = Path(__file__).parent / "django_suite" / "run.py"

# Django's source, which `make test` puts there; the package that is installed has no tests.
SOURCE = Path(sys.prefix) / "django" / f"django-{django.__version__}.tar.gz"

# Where FileSystemStorage is not the measure, and why.
DIFFERENT = {
    # They patch functions of `os` that resto calls through a descriptor, or not at all.
    "test_makedirs_race_handling": "patches os.makedirs",
    "test_remove_race_handling": "patches os.remove",
    # Of an attribute that 6.0 no longer has.
    "test_os_open_flags_deprecation_warning": "the warning is Django's own",
    # The test's settings have another class for static files than Django's default.
    "test_defaults": "reads the settings of this test",
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    if not SOURCE.exists():
        assert "RESTO_REQUIRE_SERVERS" not in os.environ, f"{SOURCE} is missing: see the Makefile"
        pytest.skip(f"Django's own tests are in its source, which is not at {SOURCE}: run make test")
    folder = tmp_path_factory.mktemp("django")
    with tarfile.open(SOURCE) as source:
        wanted = [one for one in source.getmembers() if "/tests/file_storage/" in one.name]
        source.extractall(folder, wanted, filter="data")
    return folder / f"django-{django.__version__}" / "tests"


def test_django_takes_it_for_its_own(suite, tmp_path):
    ran = subprocess.run(
        [sys.executable, RUN, suite], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    unexpected = {name: text for name, text in report["failed"].items() if name.rpartition(".")[2] not in DIFFERENT}
    assert not unexpected, "\n".join(unexpected.values())
    assert report["count"] > 150  # 5.2 has 212, 6.1 has 186

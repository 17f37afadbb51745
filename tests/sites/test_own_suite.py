"""The tests of a site: whatever directories and databases they use, nothing is refused, and nothing is left in what is real."""

import subprocess
import sys
import textwrap

import pytest

from kit.servers import clean_environment


SETTINGS = """
    SECRET_KEY = "only for tests"
    USE_TZ = True
    INSTALLED_APPS = ["resto"]
    MEDIA_ROOT, MEDIA_URL = {media!r}, "/media/"
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}, "TEST": {{"NAME": {database!r} + "-test"}}}}}}
    STORAGES = {{
        "default": {{
            "BACKEND": "resto.storage.HybridStorage",
            "OPTIONS": {{"hosts": {hosts!r}, "transport": "webdav"}},
        }}
    }}
"""

TESTS = """
    import shutil
    import tempfile

    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from django.test import TestCase, TransactionTestCase, override_settings


    class Cases:
        def test_one_directory(self):
            for name in ("a", "b"):
                default_storage.save(name, ContentFile(b"content"))
                default_storage.delete(name)

        def test_another_directory_for_each(self):
            for _ in range(2):
                with tempfile.TemporaryDirectory() as directory, override_settings(MEDIA_ROOT=directory):
                    default_storage.delete(default_storage.save("a", ContentFile(b"content")))

        def test_directory_that_is_thrown_away(self):
            default_storage.save("a", ContentFile(b"content"))
            shutil.rmtree(default_storage.location)
            default_storage.save("a", ContentFile(b"content"))
            default_storage.delete("a")


    class InTransactions(Cases, TestCase):
        pass


    class OnTheirOwn(Cases, TransactionTestCase):
        pass
"""


@pytest.fixture
def manage(tmp_path, resto_server_factory):
    """Run a command of a site with a test module."""
    hosts = [resto_server_factory().url for _ in range(2)]
    values = {"media": str(tmp_path / "media"), "database": str(tmp_path / "db.sqlite3"), "hosts": hosts}
    (tmp_path / "conf.py").write_text(textwrap.dedent(SETTINGS.format(**values)))
    (tmp_path / "test_site.py").write_text(textwrap.dedent(TESTS))

    def run(*arguments):
        environment = clean_environment() | {"DJANGO_SETTINGS_MODULE": "conf", "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-W", "error", "-m", "django", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_suite_of_a_site_passes_and_leaves_no_identity(manage, tmp_path):
    for keeps in ([], ["--keepdb"], ["--keepdb"]):
        assert "Ran 6 tests" in manage("test", *keeps)
    assert not (tmp_path / "media" / ".resto.master").exists()
    assert not (tmp_path / "db.sqlite3").exists()


def test_suite_runs_beside_a_site_that_has_an_identity(manage, tmp_path):
    manage("migrate", "--verbosity", "0")
    save = "from django.core.files.storage import default_storage as s; from django.core.files.base import ContentFile; s.save('real', ContentFile(b'x'))"
    manage("shell", "--verbosity", "0", "--command", save)
    before = (tmp_path / "media" / ".resto.master").read_bytes()
    (tmp_path / "test_site.py").write_text(
        textwrap.dedent(TESTS).replace("shutil.rmtree(default_storage.location)", "pass")
    )
    assert "Ran 6 tests" in manage("test")
    assert (tmp_path / "media" / ".resto.master").read_bytes() == before
    manage("check")

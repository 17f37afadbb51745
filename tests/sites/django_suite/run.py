"""Run Django's own tests of file storages over HybridStorage with three hosts, and print what has failed as JSON.

The argument is the folder of Django's tests. They are Django's: whatever they take `FileSystemStorage` for is resto's here.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import django
from django.conf import settings
from django.test.runner import DiscoverRunner
from stand_in import install, modes

from resto.storage import HybridStorage
from resto.testing import TestHttpServer


def over(hosts):
    class Replicated(HybridStorage):
        def __init__(self, location=None, base_url=None, *args, **options):
            super().__init__(hosts, base_url, location, transport="webdav", **modes(args), **options)

    return Replicated


def run(folder, root):
    sys.path.insert(0, folder)
    in_memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.configure(
        SECRET_KEY="secret",
        INSTALLED_APPS=["django.contrib.contenttypes", "resto", "file_storage"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        ROOT_URLCONF="file_storage.urls",
        MEDIA_ROOT=str(root / "media"),
        MEDIA_URL="/media/",
        STATIC_URL="/static/",
        STORAGES={"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}, "staticfiles": in_memory},
        SILENCED_SYSTEM_CHECKS=["resto.W005"],
        USE_TZ=False,
    )
    django.setup()
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    suite = runner.build_suite(["file_storage"])
    databases = runner.setup_databases()
    result = runner.run_suite(suite)
    runner.teardown_databases(databases)
    failed = {test.id(): text for test, text in [*result.failures, *result.errors]}
    return {"count": result.testsRun, "failed": failed}


if __name__ == "__main__":
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        install(over([stack.enter_context(TestHttpServer(webdav=True)).url for _ in range(3)]))
        report = run(sys.argv[1], root)
    sys.stdout.write(json.dumps(report))

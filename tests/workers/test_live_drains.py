"""The recipes of docs/record.md for drains that come and go, with the real schedulers."""

from contextlib import ExitStack

import pytest

from kit.documents import ROOT, read_blocks
from sites.workshop.site import Workshop, held, wait_until


MISS_A_FILE = """
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from resto.record import leases, rests
storage = storages["default"]
storage.save("a", ContentFile(b"missed"))
rests.hasten(storage.hosts[0], leases.clock())
"""


def recipe(text):
    """The block of the page in which that stands."""
    (found,) = [block.text for block in read_blocks(ROOT / "docs" / "record.md") if text in block.text]
    return found


@pytest.fixture
def open_site(resto_server_factory):
    """A function that makes a site whose host has missed a file, which is due, and returns its server as well."""
    with ExitStack() as stack:

        def open_one(**settings):
            server = resto_server_factory()
            options = {"transport": "webdav", "fatal_exceptions": False}
            site = Workshop([server.url], options, ["mysite"], backend="resto.storage.HybridStorage", **settings)
            stack.callback(site.close)
            (site.folder / "mysite").mkdir()
            (site.folder / "mysite" / "tasks.py").write_text(recipe("# tasks.py"))
            site.run("-m", "django", "migrate", "--verbosity", "0")
            server.refuse = True
            site.run("-c", MISS_A_FILE)
            server.refuse = False
            assert held(server) == {}
            return site, server

        yield open_one


def test_rq_cron(open_site, start_redis):
    (site, server), url = open_site(), start_redis().url
    (site.folder / "rq_cron.py").write_text(recipe("# rq_cron.py"))
    site.start("rq", "cron", "rq_cron.py", "--url", url, ready="Enqueued job drain to queue media")
    site.rq(url, "media", "--worker-class", "resto.workers.rq.DjangoWorker")
    wait_until(lambda: held(server) == {"a": b"missed"}, lambda: site.log)


def test_celery_beat(open_site, start_redis):
    settings = {}
    exec(recipe("CELERY_BEAT_SCHEDULE"), settings)
    schedule = settings["CELERY_BEAT_SCHEDULE"]
    schedule["drain media"]["schedule"] = 1  # a minute is too long for a test
    site, server = open_site(CELERY_BROKER_URL=start_redis().url, CELERY_BEAT_SCHEDULE=schedule)
    site.celery("-B", "-P", "solo")
    wait_until(lambda: held(server) == {"a": b"missed"}, lambda: site.log)

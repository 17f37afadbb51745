"""The recipes of the docs for drains and comparisons of task queues, with the real schedulers."""

import sqlite3
from contextlib import ExitStack, closing

import pytest

from kit.documents import ROOT, read_blocks
from sites.workshop.site import Workshop, held, wait_until


# A host has missed a file, as somebody who was killed has recorded, and another one that nobody has recorded.
MISS_FILES = """
import django
import sites.workshop.celery  # as the site's package does
django.setup()
from django.core.files.storage import storages
from django.core.management import call_command
from resto.models import Pending
from resto.record import opening
call_command("migrate", verbosity=0)
opening.open_leases("default", [(storages["default"].hosts[0], "missed")])
Pending.objects.update(due=0, quiet_until=0)
"""


def recipe(page, text):
    """The block of a page in which that stands."""
    (found,) = [block.text for block in read_blocks(ROOT / "docs" / page) if text in block.text]
    return found


@pytest.fixture
def open_site(resto_server_factory):
    """A function that makes a site whose host has missed files, and returns its server as well."""
    with ExitStack() as stack:

        def open_one(executor, executor_options, **settings):
            server = resto_server_factory()
            options = {"transport": "webdav", "executor": executor, "executor_options": executor_options}
            site = Workshop([server.url], options, **settings)
            stack.callback(site.close)
            for name in ("missed", "unknown"):
                (site.media / name).write_bytes(b"content")
            site.run("-c", MISS_FILES)
            return site, server

        yield open_one


def test_rq_cron(open_site, start_redis):
    url = start_redis().url
    site, server = open_site("rq", {"url": url, "queue": "media"})
    text = recipe("rq.md", "# rq_cron.py").replace('cron="0 3 * * *"', "interval=60")  # not at night, but now
    (site.folder / "rq_cron.py").write_text(text)
    site.start("rq", "cron", "rq_cron.py", "--url", url, ready="Enqueued job sync to queue media")
    site.rq(url, "media", "--worker-class", "resto.workers.rq.DjangoWorker")
    wait_until(lambda: held(server) == {"missed": b"content", "unknown": b"content"}, lambda: site.log)
    wait_until(lambda: kinds(site) == {("drain", 0), ("sync", 0)}, lambda: site.log)


def test_celery_beat(open_site, start_redis):
    settings = {}
    exec(recipe("celery.md", "CELERY_BEAT_SCHEDULE"), settings)
    schedule = settings["CELERY_BEAT_SCHEDULE"]
    for entry in schedule.values():
        entry["schedule"] = 1  # a minute, and a night, are too long for a test
    beat = {"CELERY_BROKER_URL": start_redis().url, "CELERY_BEAT_SCHEDULE": schedule}
    site, server = open_site("celery", {"queue": "media"}, **beat)
    site.celery("-B", "-P", "solo", "--queues", "media")
    wait_until(lambda: held(server) == {"missed": b"content", "unknown": b"content"}, lambda: site.log)
    wait_until(lambda: {("drain", 0), ("sync", 0)} <= kinds(site), lambda: site.log)


def kinds(site):
    """What the record says of runs that have ended."""
    with closing(sqlite3.connect(site.folder / "db.sqlite3")) as connection:
        return {*connection.execute("SELECT kind, code FROM resto_run WHERE ended IS NOT NULL")}

"""The pages for people on call help: each section does, in the situation that it is about."""

import contextlib
import os
import re
import shlex
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trustme

from kit import forks
from kit.documents import PATIENCE, ROOT, Reader, matches, read_blocks
from kit.namespaces import ENTER, UNSHARE, require_namespaces
from sites.workshop.site import Worker, held, is_own, wait_until


PAGE = ROOT / "docs" / "on-call.md"
PAGES = [PAGE, ROOT / "docs" / "on-call-site.md"]

DJANGO = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
django.setup()
"""
# What a visitor does.
UPLOAD = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
default_storage.save(sys.argv[1], ContentFile(b"hello" * 4_000))
"""
# What an hour without a drain does.
LATER = """
from django.db.models import F
from resto.models import Pending, Run
Run.objects.update(seen=F("seen") - 3_600)
Pending.objects.update(created=F("created") - 3_600, quiet_until=F("quiet_until") - 3_600, due=F("due") - 3_600)
"""


@dataclass(frozen=True)
class Section:
    """What is below a heading: log lines, if there are any; and what tells, what mends, and how to see that it is over."""

    title: str
    log: str
    consoles: list[str]


def read_sections(page):
    lines = page.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("## ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        blocks = [block for block in read_blocks(page) if start < block.line < end]
        log = "".join(block.text for block in blocks if block.language == "text")
        yield Section(
            lines[start - 1].removeprefix("## "), log, [one.text for one in blocks if one.language == "console"]
        )


SECTIONS = {section.title: section for page in PAGES for section in read_sections(page)}


def read_symptoms():
    """What one sees, by the title of the section that is about it."""
    rows = re.findall(r"^\| ([^|]*`[^|]*) \| [^|]*\| \[(.+?)\]", PAGE.read_text(), re.MULTILINE)
    return {title: re.findall("`(.+?)`", seen) for seen, title in rows}


class OnCall(Reader):
    """Somebody who does what the page says.

    Attributes:
        find: Returns a fixture.
        media: The directory of the master copy.
        variables: Of the environment of the site.
        remedies: What comes of commands that are given on other machines, or to services.
        statuses: Those with which the commands of ``manage.py`` of a console have ended.
        seen: What a console has shown.
    """

    def __init__(self, find, *args):
        super().__init__(*args)
        self.find = find
        self.media = self.directory / "media"
        self.variables = {}
        self.remedies = {}
        self.statuses = []
        self.seen = ""

    def add_settings(self, text):
        with (self.directory / "mysite" / "settings.py").open("a") as file:
            file.write(self.substitute(text))

    def upload(self, name):
        """Upload a file, as a visitor does; return what is in the log."""
        return self.show(f"python upload.py {name}").stdout

    def environment(self, programs=()):
        return super().environment(programs) | self.variables

    def start(self, *command, ready):
        """Start a process that stays: of Python, in a fork."""
        self.workers.append(Worker(["python", *command], self.directory, self.environment()))
        self.workers[-1].wait_for(ready)

    def start_drain(self):
        self.start("manage.py", "resto_drain", "--watch", ready="Watching the record")

    def hosts_have_everything(self):
        found = {
            str(path.relative_to(self.media)): path.read_bytes() for path in self.media.rglob("*") if path.is_file()
        }
        files = {name: content for name, content in found.items() if not is_own(Path(name))}
        return bool(files) and all(files == held(server) for server in self.servers)

    def run(self, command, *options):
        """Run a command; Python in a fork, but in a namespace, where there are none."""
        words = shlex.split(self.substitute(command))
        if options or self.within or words[0] != "python":
            return super().run(command, *options)
        status, printed = forks.run(words[1:], self.directory, self.environment(), PATIENCE)
        return subprocess.CompletedProcess(words, status, printed)

    def show(self, command):
        """Run a command, and let what it prints be that of the page."""
        done = self.run(command)
        done.stdout = self.substitute_back(done.stdout)
        return done

    def succeed(self, command, expected=""):
        done = self.show(command)
        assert done.returncode == 0, done.stdout
        return done.stdout

    # Consoles.

    def do_console(self, text):
        self.statuses, self.seen = [], ""
        super().do_console(text)

    def run_python(self, command, expected):
        """Run a command of ``manage.py``, again and again where a process that drains may take a moment for what is shown."""
        done = self.show(command)
        if self.workers:
            outputs = [done]
            wait_until(
                lambda: matches(outputs[-1].stdout, expected) or outputs.append(self.show(command)),
                lambda: outputs[-1].stdout,
            )
            done = outputs[-1]
        self.statuses.append(done.returncode)
        self.seen += done.stdout
        return done.stdout

    run_df = succeed

    def run_find(self, command, expected):
        """When a file was changed cannot be set: when it was written is."""
        self.succeed(command.replace("-ctime", "-mtime"))
        self.remedy(command, expected)

    def remedy(self, command, expected):
        self.remedies.pop(command.strip())()

    run_certbot = run_chown = run_export = run_systemctl = remedy


@pytest.fixture(scope="module")
def started_site(tmp_path_factory):
    """The folder of a site that has its tables, and no settings of its own."""
    folder = tmp_path_factory.mktemp("site")
    site = OnCall(None, folder, None, [], None, None)
    site.succeed("python -m django startproject mysite .")
    (folder / "mysite" / "migrated.py").write_text("from mysite.settings import *\nINSTALLED_APPS += ['resto']\n")
    site.succeed("python manage.py migrate --verbosity 0 --settings mysite.migrated")
    (folder / "upload.py").write_text(DJANGO + UPLOAD)
    (folder / "later.py").write_text(DJANGO + LATER)
    return folder


@pytest.fixture
def site(request, tmp_path, settings, started_site, resto_server_factory):
    """A site of getting-started, which goes on while a host is down."""
    shutil.copytree(started_site, tmp_path, dirs_exist_ok=True)
    hosts = [resto_server_factory(webdav=None, root=tmp_path / "srv" / name) for name in ("media-1", "media/files")]
    site = OnCall(request.getfixturevalue, tmp_path, settings, hosts, None, None)
    blocks = read_blocks(ROOT / "docs" / "getting-started.md")
    site.add_settings(next(block.text for block in blocks if "STORAGES" in block.text))
    site.add_settings("RESTO_FATAL_EXCEPTIONS = False\n")
    yield site
    site.stop_workers()


# The situations: what is to be prepared before a first file is uploaded, and then what goes wrong.


def host_is_down(site):
    yield
    site.servers[1].refuse = True
    site.remedies["systemctl restart nginx"] = site.servers[1].heal


def host_lags(site):
    yield
    site.servers[1].readonly = True
    site.remedies["chown -R www-data:www-data /srv/media/files"] = site.servers[1].heal


def host_was_replaced(site):
    yield
    for name in site.servers[1].files:
        site.servers[1].delete_file(name)


def disk_of_the_master_copy_is_gone(site):
    yield
    site.media.rename(site.directory / "lost")
    site.media.mkdir()


def disk_of_a_host_is_full(site):
    yield
    host, directory = site.servers[1], site.directory / "srv" / "media" / "files" / "greetings"
    host.disk_full = True
    leave_upload(directory)

    def mend():
        host.disk_full = (directory / LEFT).exists()

    site.remedies["find /srv/media/files -path '*/.resto-*' -mtime +1 -delete"] = mend


def disk_is_full_here(site):
    require_namespaces(site.directory / "srv")
    script = "mkdir media && mount -t tmpfs -o size=128k tmpfs media && echo mounted && exec cat"
    with subprocess.Popen(
        [*UNSHARE, "sh", "-c", script], cwd=site.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as namespace:
        assert namespace.stdout.readline() == b"mounted\n"
        site.within = [*ENTER, f"--target={namespace.pid}", "env", f"--chdir={site.directory}"]
        site.media = Path(f"/proc/{namespace.pid}/root{site.media}")
        yield
        leave_upload(site.media / "films", bytes(128 * 1024))
        site.remedies["find media -path '*/.resto-*' -ctime +1 -delete"] = lambda: None
        yield


def certificate_has_expired(site):
    authority, now = trustme.CA(), datetime.now(UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def certify(until):
        authority.issue_cert("127.0.0.1", not_before=now - timedelta(days=9), not_after=until).configure_cert(context)

    certify(now + timedelta(days=9))
    authority.cert_pem.write_to_path(site.directory / "ca.pem")
    site.servers[1] = site.find("resto_server_factory")(ssl_context=context)
    site.add_settings(
        """
STORAGES["default"]["OPTIONS"]["hosts"][1] = {"url": "https://media-2.example.com/", "ca_bundle": BASE_DIR / "ca.pem"}
"""
    )
    yield
    certify(now - timedelta(days=1))
    site.remedies["certbot renew"] = partial(certify, now + timedelta(days=9))
    site.remedies["systemctl reload nginx"] = lambda: None


def password_was_changed(site):
    old, new = ("site", "the old one"), ("site", "the new one")
    site.variables["MEDIA_2_PASSWORD"] = old[1]
    site.servers[1].credentials = old
    site.add_settings(
        """
import os
RESTO_SECRETS = {"media-2": ("site", os.environ["MEDIA_2_PASSWORD"])}
STORAGES["default"]["OPTIONS"]["hosts"][1] = {"url": "http://media-2.example.com/", "auth": "media-2"}
"""
    )
    yield
    site.servers[1].credentials = new
    site.remedies["export MEDIA_2_PASSWORD='the new one'"] = partial(site.variables.update, MEDIA_2_PASSWORD=new[1])
    site.remedies["systemctl restart mysite resto-watch"] = lambda: None  # each upload is one of a new process


def drain_is_dead(site):
    yield
    site.start_drain()
    site.stop_workers()  # SIGKILL
    site.servers[1].refuse = True
    site.upload("greetings/missed.txt")
    site.servers[1].refuse = False
    site.succeed("python later.py")
    site.remedies["systemctl restart resto-watch"] = site.start_drain


def task_queue_is_dead(site):
    redis = site.find("start_redis")()
    site.add_settings(
        f"""
STORAGES["default"]["BACKEND"] = "resto.storage.AsyncStorage"
STORAGES["default"]["OPTIONS"] |= {{"executor": "rq", "executor_options": {{"url": "{redis.url}0", "queue": "media"}}}}
RESTO_GRACE = 0.01  # and not a minute
"""
    )
    site.variables["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
    worker = ["-c", "from rq.cli import main; main()", "worker", "media", "--url", f"{redis.url}0"]

    def start_worker():
        site.start(*worker, "--worker-class", "resto.workers.rq.DjangoWorker", ready="Listening on")

    start_worker()
    yield
    site.stop_workers()
    redis.kill()
    site.remedies["systemctl restart redis-server"] = redis.start
    site.remedies["systemctl restart media-worker"] = start_worker


def database_is_down(site):
    database, away = site.directory / "db.sqlite3", site.directory / "away.sqlite3"
    yield
    database.rename(away)
    database.mkdir()  # else SQLite makes a new one

    def mend():
        database.rmdir()
        away.rename(database)

    site.remedies["systemctl restart postgresql"] = mend


SITUATIONS = {
    "A host is down": host_is_down,
    "A host lags": host_lags,
    "A host was replaced": host_was_replaced,
    "The disk of the master copy is gone": disk_of_the_master_copy_is_gone,
    "The disk of a host is full": disk_of_a_host_is_full,
    "The disk is full here": disk_is_full_here,
    "A certificate has expired": certificate_has_expired,
    "A password was changed": password_was_changed,
    "The drain is dead": drain_is_dead,
    "The task queue is dead": task_queue_is_dead,
    "The database is down": database_is_down,
}

LEFT = ".resto-left"


def leave_upload(directory, content=b"half"):
    """Leave what a process leaves that was killed during an upload, three days ago."""
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):  # a disk that is full then
        (directory / LEFT).write_bytes(content)
    three_days_ago = time.time() - 3 * 86_400
    os.utime(directory / LEFT, (three_days_ago, three_days_ago))


@pytest.mark.parametrize("title", SECTIONS)
def test_section_helps(title, site):
    section = SECTIONS[title]
    situation = SITUATIONS[title](site)
    next(situation)
    assert site.upload("greetings/before.txt") == ""
    wait_until(site.hosts_have_everything)
    next(situation, None)
    log = site.upload("greetings/hello.txt")
    assert matches(log, section.log), log
    tells, mends, over = section.consoles
    site.do_console(tells)
    assert all(symptom in log + site.seen for symptom in read_symptoms()[title]), log + site.seen
    assert 0 not in site.statuses
    site.do_console(mends)
    assert not site.remedies
    site.do_console(over)
    assert not any(site.statuses)
    if not (site.media / "greetings" / "hello.txt").exists():
        assert site.upload("greetings/hello.txt") == ""
    wait_until(site.hosts_have_everything)
    situation.close()


@pytest.mark.parametrize("command", ["restore --no-input", "sync"])
def test_command_says_that_the_database_is_down(command, site):
    situation = database_is_down(site)
    next(situation)
    next(situation, None)
    said = site.show(f"python manage.py resto_{command}").stdout
    assert said.startswith("CommandError: The record cannot be reached: ")


def test_every_section_is_named_at_the_top():
    assert SECTIONS.keys() == read_symptoms().keys() == SITUATIONS.keys()


def test_every_alert_is_named():
    rules = (ROOT / "docs" / "monitoring" / "resto.rules.yml").read_text()
    assert set(re.findall(r"`(Resto\w+)`", PAGE.read_text())) == set(re.findall(r"alert: (\w+)", rules))

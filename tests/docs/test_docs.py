"""What the documentation says is true: its blocks are done, its links lead somewhere, and nothing is left out."""

import inspect
import json
import logging
import re
import sys
import tomllib
from functools import partial

import pytest
from django.core.files.base import ContentFile
from redis import Redis

import buckets
from kit import forks
from kit.documents import (
    CREDENTIALS,
    PAGES,
    PASSWORDS,
    ROOT,
    Reader,
    matches,
    read_blocks,
    read_commands,
    set_credentials,
    start_servers,
    without_blocks,
)
from kit.kinds import VENV_PROGRAMS
from resto import exceptions, health, names
from resto.executors import thread
from resto.settings import DEFAULTS
from resto.staticfiles import StaticFilesStorage
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage, StorageOptions, reporting
from resto.transports.directory import DirectoryTransport
from resto.transports.http import HttpOptions, HttpTransport
from resto.transports.webdav import WebDAVTransport


DOCS = ROOT / "docs"
SETTINGS = (DOCS / "settings.md").read_text()
CHECKS = (DOCS / "checks.md").read_text()
LOG_MESSAGES = (DOCS / "log-messages.md").read_text()
ERRORS_PAGE = (DOCS / "errors.md").read_text()
EXECUTORS = (DOCS / "executors-and-transports.md").read_text()
WHEN_HOSTS_FAIL = (DOCS / "when-hosts-fail.md").read_text()
FOLDER_TRANSPORT = DOCS / "write-a-transport.md"
WRITING_FILES = (DOCS / "writing-files.md").read_text()
SOURCES = {path: path.read_text() for path in sorted((ROOT / "resto").rglob("*.py"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = {
    name: {classifier.rpartition(" ")[2] for classifier in PROJECT["classifiers"] if re.search(pattern, classifier)}
    for name, pattern in {"Python": r"Python :: \d+\.\d+$", "Django": r"Django :: \d"}.items()
}


def page_id(page):
    return str(page.relative_to(ROOT))


pytest_plugins = ["kit.packages"]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A folder with a Python, and programs in it, whose processes need not import Django first."""
    folder = tmp_path_factory.mktemp("python")
    forks.write_python(folder / "python")
    for name in ("celery", "django-admin", "rq"):
        (folder / name).write_text(f'#!/bin/sh\nexec {folder}/python {VENV_PROGRAMS}/{name} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def reader(request, python, tmp_path, settings, monkeypatch, resto_server_factory, caplog):
    caplog.set_level(logging.CRITICAL + 1, logger="resto")
    monkeypatch.setenv("MEDIA_USER", CREDENTIALS[0])
    monkeypatch.setenv("MEDIA_PASSWORD", CREDENTIALS[1])
    for number, password in enumerate(PASSWORDS, 1):
        monkeypatch.setenv(f"MEDIA_{number}_PASSWORD", password)
    monkeypatch.setenv("LINKS_SECRET", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("S3_KEY", buckets.KEY)
    monkeypatch.setenv("S3_SECRET", buckets.SECRET)

    def find_redis():
        url = request.getfixturevalue("redis_server").url
        with Redis.from_url(url) as redis:
            if not reader.workers:
                redis.flushdb()
        return url

    find_s3 = partial(request.getfixturevalue, "s3_server")
    programs = [] if "getting-started" in request.node.name else [python]  # one page is read as readers do
    reader = Reader(tmp_path, settings, start_servers(resto_server_factory), find_redis, find_s3, programs)
    monkeypatch.setitem(sys.modules, "page", reader.module)  # what it defines can be pickled
    monkeypatch.syspath_prepend(tmp_path)  # what it writes can be imported
    yield reader
    reader.stop_workers()


@pytest.fixture(scope="module")
def s3_server():
    with buckets.serve_s3() as url:
        yield url


# Each section is about a situation of its own, which test_on_call.py brings about.
SITUATIONS = [ROOT / "docs" / "on-call.md", ROOT / "docs" / "on-call-site.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in SITUATIONS], ids=page_id)
def test_blocks_do_what_the_page_says(page, request, reader):
    if "resto-example-plugins" in page.read_text():
        request.getfixturevalue("example_package")
    if "from resto_folder import" in page.read_text() and page != FOLDER_TRANSPORT:
        reader.do(read_blocks(FOLDER_TRANSPORT)[0])
    for block in read_blocks(page):
        set_credentials(reader.servers, block.text)
        try:
            reader.do(block)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{page.name}:{block.line}: {error!r}") from error


def anchors(page):
    headings = re.findall("^#+ (.+)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_versions_agree_with_the_project(page):
    prose = without_blocks(page)
    for name, versions in VERSIONS.items():
        assert set(re.findall(rf"{name} (\d+\.\d+)", prose)) <= versions


def test_all_versions_are_told():
    prose = without_blocks(ROOT / "docs" / "compatibility.md")
    for name, versions in VERSIONS.items():
        assert set(re.findall(rf"{name} (\d+\.\d+)", prose)) == versions


@pytest.mark.parametrize("page", [page for page in PAGES if "newer" in without_blocks(page)], ids=page_id)
def test_oldest_versions_agree_with_the_project(page):
    oldest = {"Python": PROJECT["requires-python"], "Django": PROJECT["dependencies"][0]}
    for name, version in re.findall(r"(Python|Django) (\d+\.\d+)[^.]* or newer", without_blocks(page)):
        assert oldest[name].endswith(f">={version}")


# Nothing is left out.


def section(heading):
    """What is below a heading of the settings page."""
    return re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", SETTINGS, re.MULTILINE | re.DOTALL)[1]


def table_rows(text):
    """The first cells of all tables of a text."""
    return [cell for table in tables(text) for cell in table]


def tables(text):
    """The first cells of each table of a text."""
    return [re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) for table in text.split("\n|---|")[1:]]


@pytest.mark.parametrize("name", DEFAULTS)
def test_setting_is_documented(name):
    assert f"`RESTO_{name}`" in SETTINGS


@pytest.mark.parametrize("name", sorted(DEFAULTS.keys() - {"MEDIA_HOSTS", "SECRETS"}))
def test_default_is_documented(name):
    row = re.search(rf"^\| (?:`{name.lower()}` )?\| `RESTO_{name}` \| [^|]+ \| `([^`]+)` \|", SETTINGS, re.MULTILINE)
    assert row[1].replace('"', "'") == repr(DEFAULTS[name])


OF_ALL, OF_HYBRID, OF_DISTRIBUTED = map(set, tables(section("Options of storages")))


@pytest.mark.parametrize(
    ("storage", "documented"),
    [
        (HybridStorage, OF_ALL | OF_HYBRID),
        (AsyncStorage, OF_ALL | OF_HYBRID),
        (DistributedStorage, OF_ALL | OF_DISTRIBUTED),
        (StaticFilesStorage, OF_ALL | OF_HYBRID - {"allow_overwrite"}),
    ],
)
def test_options_of_storages_are_those_documented(storage, documented):
    parameters = inspect.signature(storage.__init__).parameters.keys() - {"self", "options"}
    assert documented == parameters | StorageOptions.__annotations__.keys()


def test_options_of_transports_are_those_documented():
    bundled = (HttpTransport, WebDAVTransport, DirectoryTransport)
    options = set().union(*(inspect.signature(transport).parameters for transport in bundled))
    assert set(table_rows(section("Options of transports"))) == options - {"base_url", "timeout", "options"}
    assert set(HttpOptions.__annotations__) <= options | set(table_rows(section("Options of transports")))


def test_checks_are_those_documented():
    codes = {f"resto.{code}" for text in SOURCES.values() for code in re.findall(r'"(?:resto[.])?([EW]\d{3})"', text)}
    assert sorted(codes) == table_rows(CHECKS)


def test_log_messages_are_those_documented():
    calls = r"logger\.(?:warning|error|exception)\(\s*\"([^\"]+)\""
    messages = {message for text in SOURCES.values() for message in re.findall(calls, text)}
    messages |= {message.removesuffix(" %s") for message in reporting.LOG_MESSAGES.values()}
    assert messages | {"Failed to upload %s on %s.", "Failed to delete %s on %s."} == set(table_rows(LOG_MESSAGES))


ERRORS = [name for name in exceptions.__all__ if isinstance(getattr(exceptions, name), type)]


def test_errors_are_those_documented():
    assert set(table_rows(ERRORS_PAGE)) == set(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_bases_of_an_error_are_documented(name):
    cell = re.search(rf"^\| `{name}` \| ([^|]+) \|", ERRORS_PAGE, re.MULTILINE)[1]
    bases = {parent.__name__ for parent in getattr(exceptions, name).__bases__}
    assert set(re.findall("`(.+?)`", cell)) == bases - {"RestoError"}


def test_observer_is_that_of_the_example():
    (block,) = [block for block in read_blocks(DOCS / "write-an-observer.md") if "# observer.py" in block.text]
    source = (ROOT / "plugins_example" / "resto_example_plugins" / "metrics.py").read_text()
    assert block.text == f"# observer.py\n{source}"


def test_numbers_are_those_of_the_code():
    assert f"up to {thread.MAX_THREADS} for the process, up to {thread.MAX_THREADS_PER_HOST} for one host" in EXECUTORS
    assert f"more than {names.MAX_PART_BYTES} bytes" in WRITING_FILES
    assert f"no answer, {health.MAX_FAILURES} times in a row" in WHEN_HOSTS_FAIL
    assert f"not asked for about {health.FIRST_PAUSE} second:" in WHEN_HOSTS_FAIL
    assert f"twice as long, up to about {health.LONGEST_PAUSE} seconds" in WHEN_HOSTS_FAIL
    assert f"for up to {health.PROBE_PATIENCE} seconds; then another one" in WHEN_HOSTS_FAIL


def test_import_paths_lead_somewhere():
    page = (ROOT / "docs" / "coming-from-django-resto.md").read_text()
    new = re.findall(r"^\| `django_resto\.[\w.]+` \| `(resto\.[\w.]+)` \|$", page, re.MULTILINE)
    assert len(new) == 7
    for path in new:
        module, _, name = path.rpartition(".")
        exec(f"from {module} import {name}", {})


def test_recipe_for_task_queues_sends_files(reader):
    for block in read_blocks(ROOT / "docs" / "coming-from-django-resto.md"):
        reader.do(block)
    reader.namespace["QueueStorage"]().save("queued.txt", ContentFile(b"data"))
    assert [server.files.get("media/queued.txt") for server in reader.servers] == [b"data", b"data", None]


@pytest.mark.django_db
def test_view_tells_how_the_hosts_are(reader, rf):
    blocks = read_blocks(ROOT / "docs" / "status.md")
    (view,) = [block for block in blocks if block.text.startswith("# mysite/health.py")]
    exec(view.text, reader.namespace)
    hosts = [server.url for server in reader.servers]
    reader.settings.STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"hosts": hosts}}}
    for status, reachable in [(200, True), (503, False)]:
        reader.servers[1].refuse = not reachable
        answer = reader.namespace["media_hosts"](rf.get("/health/media/"))
        assert answer.status_code == status
        assert [host["reachable"] for host in json.loads(answer.content)["hosts"]] == [True, reachable, True]


# The reader itself: what it would let pass is not tested.


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ruby", "puts 1\n"),
        ("", "text\n"),
        ("console", "$ rm -rf site\n"),
        ("console", "output only\n"),
        ("console", "$ make no-such-target\n"),
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ echo 'one\n"),
        ("console", "$ python -c 'raise SystemExit(1)'\n"),
        ("python", "import no_such_module\n"),
        ("python", 'STORAGES = {"default": {"BACKEND": "resto.storage.HybridStorage"}}\n'),
        ("ini", "[Service]\n"),
    ],
)
def test_reader_finds_what_is_wrong(reader, tmp_path, language, text):
    page = tmp_path / "page.md"
    page.write_text(f"```{language}\n{text}```\n")
    (block,) = read_blocks(page)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of any kind
        reader.do(block)


def test_reader_finds_blocks_that_do_not_end(tmp_path):
    (tmp_path / "page.md").write_text("```python\nimport os\n")
    with pytest.raises(AssertionError, match="does not end"):
        read_blocks(tmp_path / "page.md")


def test_commands_may_go_on_in_the_next_line():
    assert read_commands("$ a \\\n  b\nout\n$ c\n") == [["a \\\n  b\n", "out\n"], ["c\n", ""]]


@pytest.mark.parametrize(("actual", "same"), [("a\nb\nc\n", True), ("ac", True), ("a\nb\n", False)])
def test_three_dots_stand_for_anything(actual, same):
    assert matches(actual, "a...c\n") is same

"""A site under gunicorn, its visitors and a real browser, and real media servers; nothing is simulated."""

import base64
import contextlib
import io
import os
import random
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
import requests
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from kit.browser import submit
from kit.reference import PAGE, WRITES
from sites.newsroom.server import DEADLINE, EDITOR, Newsroom, Visitor, wait_until
from sites.workshop.site import held, is_own


KINDS = ("nginx-dav", "apache", "rclone")
STORAGES = ("HybridStorage", "AsyncStorage", "DistributedStorage")
WITH_MASTER_COPY = ("HybridStorage", "AsyncStorage")
SMALL = b"The newsroom's first scoop."
PICTURE = PAGE.parent / "forms.png"
BIG = random.Random(7).randbytes(3_000_000)  # Django gives uploads above 2.5 MiB a temporary file


def image(size: tuple[int, int]) -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", size, "red").save(file, "PNG")
        return file.getvalue()


# The sites, the browser and the visitor.


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> Path:
    """A database with an editor, for every site to begin with."""
    with contextlib.closing(Newsroom("HybridStorage", ["http://127.0.0.1:9/"])) as site:
        site.run("-m", "sites.newsroom.prepare", *EDITOR)
        return Path((site.folder / "db.sqlite3").rename(tmp_path_factory.mktemp("newsroom") / "db.sqlite3"))


@pytest.fixture(scope="session")
def sites(database, media_servers) -> Iterator[Callable[[str], Newsroom]]:
    """A function: class of the default storage -> the session's site with it, on three kinds of media servers."""
    running: dict[str, Newsroom] = {}
    with contextlib.ExitStack() as stack:

        def get(storage: str) -> Newsroom:
            if storage not in running:
                hosts = [media_servers(kind).new_folder() for kind in KINDS]
                report_hosts = [media_servers(kind).new_folder()[0] for kind in KINDS]
                site = Newsroom(storage, [url for url, _ in hosts], report_hosts, database)
                site.folders = [path for _, path in hosts]
                running[storage] = stack.enter_context(site)
            return running[storage]

        yield get
        for site in running.values():
            site.terminate()
        for site in running.values():
            assert site.wait() == 0, site.log
            assert [line for line in site.lines("unclosed") if "/gunicorn/" not in line] == []
            assert_converged(site)


@pytest.fixture(params=["HybridStorage", pytest.param("AsyncStorage", marks=pytest.mark.long), "DistributedStorage"])
def site(request, sites) -> Newsroom:
    """The session's site with each kind of storage."""
    return sites(request.param)


@pytest.fixture
def start_site(database) -> Iterator[Callable[..., Newsroom]]:
    """A function that starts a site for this test only; takes what ``Newsroom`` takes."""
    with contextlib.ExitStack() as stack:
        yield lambda storage, hosts, **options: stack.enter_context(
            Newsroom(storage, hosts, database=database, options=options)
        )


@pytest.fixture
def visit() -> Iterator[Callable[[Newsroom], Visitor]]:
    """A function: site -> a new visitor of it."""
    with contextlib.ExitStack() as stack:
        yield lambda site: stack.enter_context(Visitor(site))


@pytest.fixture
def headline() -> str:
    """A headline that no other test uses."""
    return f"Scoop {secrets.token_hex(4)}"


# What visitors of the media servers find.


def fetch(url: str) -> bytes | str | None:
    """Return what a media server serves, None if it has no such file, a text if it does not know."""
    answer = requests.get(url, timeout=DEADLINE)
    if answer.status_code not in (200, 404):
        return f"answered {answer.status_code}"  # as rclone does while a file is being deleted
    return answer.content if answer.status_code == 200 else None


def copies(hosts: Sequence[str], name: str) -> list[bytes | str | None]:
    return [fetch(urljoin(host, quote(name))) for host in hosts]


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    found = [path for path in folder.rglob("*") if path.is_file() and not is_own(path.relative_to(folder))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def assert_everywhere(site: Newsroom, name: str, content: bytes | None) -> None:
    """The master copy, if there is one, and every host have this content, or None of them has the file."""
    if site.storage == "AsyncStorage":
        wait_until(lambda: copies(site.hosts, name) == [content] * len(site.hosts), lambda: site.log)
    else:
        assert copies(site.hosts, name) == [content] * len(site.hosts)
    master = site.media / name
    assert (master.read_bytes() if master.exists() else None) == (content if site.storage in WITH_MASTER_COPY else None)


def assert_converged(site: Newsroom) -> None:
    """All hosts have the same files, those of the master copy if there is one, and no others."""
    truth = tree(site.media if site.storage in WITH_MASTER_COPY else site.folders[0])
    assert truth
    assert [tree(folder) for folder in site.folders] == [truth] * len(site.folders)


# Uploads through the admin, in a browser.


def log_in(browser: Chrome, site: Newsroom) -> None:
    browser.get(f"{site.url}admin/login/?next=/admin/")
    browser.find_element(By.NAME, "username").send_keys(EDITOR[0])
    browser.find_element(By.NAME, "password").send_keys(EDITOR[2])
    submit(browser, "[type=submit]")


def add_article(browser: Chrome, url: str, button: str, headline: str, attachment: Path, photo: Path) -> None:
    """Fill in a form of the admin or of the site."""
    browser.get(url)
    browser.find_element(By.NAME, "headline").send_keys(headline)
    browser.find_element(By.NAME, "attachment").send_keys(str(attachment))
    browser.find_element(By.NAME, "photo").send_keys(str(photo))
    submit(browser, button)


@pytest.fixture
def big_file(tmp_path) -> Path:
    path = tmp_path / "big file é.bin"
    path.write_bytes(BIG)
    return path


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(image((40, 30)))
    return path


def test_upload_in_the_admin(site, browser, headline, big_file, photo):
    log_in(browser, site)
    add_article(browser, f"{site.url}admin/newsroom/article/add/", "[name=_continue]", headline, big_file, photo)
    attachment, image = site.file_of(headline), site.file_of(headline, "photo")
    links = browser.find_elements(By.CSS_SELECTOR, ".file-upload a")
    assert [link.text for link in links] == [attachment, image]
    assert_everywhere(site, attachment, BIG)
    assert_everywhere(site, image, photo.read_bytes())
    assert fetch(links[0].get_attribute("href")) == BIG
    browser.get(links[1].get_attribute("href"))
    assert browser.execute_script("return document.images[0].naturalWidth") == 40


def test_deletion_in_the_admin(site, browser, visit, headline, photo):
    visit(site).add("articles/", headline, "a.bin", SMALL, photo=("p.png", photo.read_bytes()))
    attachment, image = site.file_of(headline), site.file_of(headline, "photo")
    assert_everywhere(site, attachment, SMALL)
    log_in(browser, site)
    browser.get(f"{site.url}admin/newsroom/article/{site.key_of(headline)}/delete/")
    submit(browser, "#content [type=submit]")
    assert site.count("article", headline) == 0
    assert_everywhere(site, attachment, None)
    assert_everywhere(site, image, None)


def test_replacement_in_the_admin(site, browser, visit, headline, big_file, photo):
    """The admin leaves the old file where it is, as Django does, and gives the new one another name."""
    visit(site).add("articles/", headline, "big file é.bin", SMALL)
    old = site.file_of(headline)
    log_in(browser, site)
    address = f"{site.url}admin/newsroom/article/{site.key_of(headline)}/change/"
    add_article(browser, address, "[name=_save]", "", big_file, photo)
    assert site.file_of(headline) != old
    assert_everywhere(site, site.file_of(headline), BIG)
    assert_everywhere(site, old, SMALL)


# Uploads through a form of the site.


def test_upload_in_a_form_of_the_browser(site, browser, headline, big_file, photo):
    add_article(browser, f"{site.url}articles/", "[type=submit]", headline, big_file, photo)
    assert browser.find_element(By.TAG_NAME, "h1").text == headline
    if site.storage == "AsyncStorage":  # the browser may have asked for the picture before the hosts had it
        assert_everywhere(site, site.file_of(headline, "photo"), photo.read_bytes())
        assert_everywhere(site, site.file_of(headline), BIG)
        browser.refresh()
    assert browser.execute_script("return document.images[0].naturalWidth") == 40
    assert fetch(browser.find_element(By.ID, "attachment").get_attribute("href")) == BIG
    assert_everywhere(site, site.file_of(headline), BIG)
    assert_everywhere(site, site.file_of(headline, "photo"), photo.read_bytes())


@pytest.mark.parametrize(
    ("content", "upload"),
    [(SMALL, "InMemoryUploadedFile"), (BIG, "TemporaryUploadedFile"), (b"\0", "InMemoryUploadedFile")],
    ids=["small", "big", "one byte"],
)
def test_upload_in_a_form(site, visit, headline, content, upload):
    answer = visit(site).add("articles/", headline, "100% of it?#é.bin", content)
    assert answer.headers["X-Upload"] == upload
    assert_everywhere(site, site.file_of(headline), content)


def test_replacement_in_a_form(site, visit, headline):
    visitor = visit(site)
    visitor.add("articles/", headline, "a.bin", BIG)
    old = site.file_of(headline)
    assert_everywhere(site, old, BIG)
    visitor.add(f"articles/{site.key_of(headline)}/edit/", headline, "b.bin", SMALL)
    assert site.file_of(headline) != old
    assert_everywhere(site, site.file_of(headline), SMALL)
    assert_everywhere(site, old, None)


def test_deletion_in_a_form(site, visit, headline):
    visitor = visit(site)
    visitor.add("articles/", headline, "a.bin", BIG)
    name = site.file_of(headline)
    assert_everywhere(site, name, BIG)
    assert visitor.submit(f"articles/{site.key_of(headline)}/delete/", {}).status_code == 302
    assert_everywhere(site, name, None)


def test_field_with_a_storage_of_its_own(sites, visit, headline):
    """Reports are kept below other URLs than the rest, and replaced under their names."""
    site, visitor = sites("DistributedStorage"), visit(sites("DistributedStorage"))
    visitor.add("reports/", headline, f"{headline}.bin", BIG)
    name = site.file_of(headline, model="report")
    assert copies(site.report_hosts, name) == [BIG] * 3
    visitor.add(f"reports/{site.key_of(headline, 'report')}/edit/", headline, f"{headline}.bin", SMALL)
    assert site.file_of(headline, model="report") == name
    assert copies(site.report_hosts, name) == [SMALL] * 3
    assert copies(site.hosts, name) == [None] * 3
    visitor.submit(f"reports/{site.key_of(headline, 'report')}/delete/", {})
    assert copies(site.report_hosts, name) == [None] * 3


# Files that the site's own code writes.


def test_files_saved_by_code(site, visit, headline):
    name = visit(site).note("save", f"notes/{headline}.txt", "é" * 1000)
    assert_everywhere(site, name, ("é" * 1000).encode())


def test_files_replaced_by_code(site, visit, headline):
    """The last of many contents in quick succession is the one that stays."""
    visitor = visit(site)
    names = {visitor.note("replace", f"notes/{headline}.txt", f"{number}" * number) for number in range(1, 9)}
    assert names == {f"notes/{headline}.txt"}
    assert_everywhere(site, f"notes/{headline}.txt", b"8" * 8)


def test_files_deleted_by_code(site, visit, headline):
    visitor = visit(site)
    name = visitor.note("save", f"notes/{headline}.txt", "text")
    assert_everywhere(site, name, b"text")
    visitor.note("delete", name)
    assert_everywhere(site, name, None)


@pytest.mark.parametrize("storage", WITH_MASTER_COPY)
def test_files_opened_for_writing_by_code(sites, visit, headline, storage):
    visitor = visit(sites(storage))
    visitor.note("write", f"notes/{headline}.txt", "old")
    visitor.note("write", f"notes/{headline}.txt", "new")
    assert_everywhere(sites(storage), f"notes/{headline}.txt", b"new")


def test_files_saved_by_a_command(site, tmp_path, headline):
    """Another process than gunicorn's: it ends as soon as its last file is saved."""
    paths = [tmp_path / f"{headline} {number}.bin" for number in range(3)]
    for path, content in zip(paths, [SMALL, BIG, b""], strict=True):
        path.write_bytes(content)
    site.manage("import_articles", *map(str, paths))
    names = [site.file_of(path.stem) for path in paths]
    assert [copies(site.hosts, name) for name in names] == [[SMALL] * 3, [BIG] * 3, [b""] * 3]


# gunicorn's processes.


def test_every_worker_of_a_preloaded_site_saves(site, visit, headline):
    """The storage was used before the fork; threads and connections from then are of no use to the workers."""
    one = int(visit(site).add("articles/", f"{headline} 1", "1.bin", SMALL).headers["X-Worker"])
    # Else it may stop while it locks the database.
    wait_until(lambda: not site.rows("SELECT 1 FROM resto_pending"), lambda: site.log)
    os.kill(one, signal.SIGSTOP)  # so that the other one has to answer
    try:
        other = int(visit(site).add("articles/", f"{headline} 2", "2.bin", BIG).headers["X-Worker"])
    finally:
        os.kill(one, signal.SIGCONT)
    assert one != other
    assert_everywhere(site, "preloaded.txt", b"before the fork")
    assert_everywhere(site, site.file_of(f"{headline} 1"), SMALL)
    assert_everywhere(site, site.file_of(f"{headline} 2"), BIG)


def test_workers_make_connections_of_their_own(start_site, resto_server, visit, headline):
    visit(start_site("HybridStorage", [resto_server.url])).add("articles/", headline, "a.bin", SMALL)
    before_fork = {request.connection for request in resto_server.requests if request.name == "preloaded.txt"}
    after_fork = {request.connection for request in resto_server.requests if request.name.startswith("attachments/")}
    assert before_fork
    assert after_fork
    assert before_fork.isdisjoint(after_fork)


def test_workers_do_not_wait_for_what_was_under_way_at_the_fork(start_site, resto_server, visit):
    forked = threading.Event()
    resto_server.on_request = lambda method, path: forked.wait(DEADLINE)
    visitor = visit(start_site("AsyncStorage", [resto_server.url], timeout=DEADLINE))
    visitor.note("save", "other.txt")
    forked.set()
    wait_until(lambda: resto_server.has_file("preloaded.txt"))
    visitor.note("replace", "preloaded.txt", "after the fork")
    wait_until(lambda: resto_server.files.get("preloaded.txt") == b"after the fork")


def test_uploads_at_the_same_time(site, visit, headline):
    """All of one name where there is a master copy, and so all but one get another."""
    suffix = "" if site.storage in WITH_MASTER_COPY else "{number}"

    def upload(number):
        name = f"{headline}{suffix.format(number=number)}.bin"
        visit(site).add("articles/", f"{headline} {number}", name, b"%d" % number * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(16)))
    for number in range(16):
        assert_everywhere(site, site.file_of(f"{headline} {number}"), b"%d" % number * 1000)


def test_asynchronous_uploads_outlive_a_request_to_stop(start_site, media_servers, resto_server, headline):
    """More of them than a host is sent at a time, one of them big."""
    (url, folder), stopping = media_servers("apache").new_folder(), threading.Event()
    site = start_site("AsyncStorage", [url, resto_server.url], timeout=DEADLINE)
    resto_server.on_request = lambda method, path: stopping.wait(DEADLINE)
    with Visitor(site) as visitor:
        for number, content in enumerate([SMALL] * 20 + [BIG]):
            visitor.add("articles/", f"{headline} {number}", "a.bin", content)
    site.terminate()
    assert not held(resto_server)
    stopping.set()
    assert site.wait() == 0
    assert len(tree(site.media)) == 22  # with the one that was saved before the fork
    assert tree(folder) == held(resto_server) == tree(site.media)


# Media servers that fail.


@pytest.mark.parametrize("storage", ["HybridStorage", "DistributedStorage"])
def test_a_killed_server_fails_the_save(
    storage, start_site, start_server, media_servers, browser, visit, headline, big_file, photo
):
    healthy, victim = [media_servers(kind).new_folder() for kind in ("nginx-dav", "rclone")], start_server("apache")
    site = start_site(storage, [healthy[0][0], victim.url, healthy[1][0]], fatal_exceptions=True)
    visit(site).add("articles/", f"{headline} before", "a.bin", SMALL)
    log_in(browser, site)
    before = [tree(folder) for folder in (healthy[0][1], healthy[1][1])]
    victim.kill()
    assert visit(site).try_to_add("articles/", headline, "a.bin", BIG).status_code == 500
    for path, button in [("admin/newsroom/article/add/", "[name=_save]"), ("articles/add/", "[type=submit]")]:
        add_article(browser, f"{site.url}{path}", button, headline, big_file, photo)
        assert [error.text for error in browser.find_elements(By.CSS_SELECTOR, ".errorlist li")] == [
            f"not stored: {urlsplit(victim.url).netloc} does not answer; nothing was saved. Choose the file again, and try again.",
            "not stored either, as nothing was saved. Choose the file again.",
        ]
        assert browser.find_element(By.NAME, "headline").get_attribute("value") == headline
    assert site.count("article", headline) == 0
    assert [tree(folder) for folder in (healthy[0][1], healthy[1][1])] == before
    assert tree(site.media) == (before[0] if storage in WITH_MASTER_COPY else {})
    victim.start()

    def succeeds() -> bool:
        browser.find_element(By.NAME, "attachment").send_keys(str(big_file))
        submit(browser, "[type=submit]")
        return browser.title == headline

    wait_until(succeeds)  # the processes of the site ask the server once in a while only
    assert copies(site.hosts, site.file_of(headline)) == [BIG] * 3


def test_picture_of_the_form_with_its_error(database, resto_server, browser, headline, big_file):
    """It is that of the docs, where this has written it."""
    hosts = [resto_server.url, "https://media-2.example.com/media/"]  # there is no such host, and never will be
    with Newsroom("HybridStorage", hosts[:1], hosts, database) as site:
        log_in(browser, site)
        browser.set_window_size(1000, 700)
        browser.get(f"{site.url}admin/newsroom/report/add/")
        browser.find_element(By.NAME, "headline").send_keys("A bridge opens" if WRITES else headline)
        browser.find_element(By.NAME, "attachment").send_keys(str(big_file))
        submit(browser, "[name=_save]")
    assert browser.find_element(By.CSS_SELECTOR, ".field-attachment .errorlist").text == (
        "not stored: media-2.example.com does not answer; nothing was saved. Choose the file again, and try again."
    )
    seen = Image.open(io.BytesIO(browser.find_element(By.ID, "content").screenshot_as_png))
    if WRITES:
        seen.quantize(32).save(PICTURE, optimize=True)
    with Image.open(PICTURE) as picture:
        assert picture.width == seen.width


@pytest.mark.parametrize("storage", STORAGES)
def test_a_killed_server_does_not_fail_the_save(storage, start_site, start_server, media_servers, visit, headline):
    healthy, victim = [media_servers(kind).new_folder()[0] for kind in ("nginx-dav", "rclone")], start_server("apache")
    site = start_site(storage, [healthy[0], victim.url, healthy[1]], fatal_exceptions=False)
    visitor = visit(site)
    visitor.add("articles/", f"{headline} before", "a.bin", SMALL)
    assert_everywhere(site, site.file_of(f"{headline} before"), SMALL)
    victim.kill()
    visitor.add("articles/", headline, "b.bin", BIG)
    name = site.file_of(headline)
    wait_until(lambda: copies(healthy, name) == [BIG] * 2)
    wait_until(lambda: site.lines("Failed to upload"))
    looked = [f"ERROR resto: Failed to check if {name} exists on {victim.url}. Connection refused."]
    assert site.lines("ERROR") == [
        *(looked if storage == "DistributedStorage" else []),
        f"ERROR resto: Failed to upload {name} on {victim.url}. Connection refused.",
    ]


def test_a_hanging_server_does_not_keep_the_browser_waiting(
    start_site, media_servers, resto_server, browser, headline, big_file, photo
):
    healthy = [media_servers(kind).new_folder()[0] for kind in KINDS]

    def hang_with_the_upload(method: str, path: str) -> None:
        resto_server.hang = resto_server.hang or (method == "PUT" and path.startswith("/attachments/"))

    resto_server.on_request = hang_with_the_upload  # not yet when the site looks whose host this is
    site = start_site("AsyncStorage", [*healthy, resto_server.url], timeout=60)  # longer than the browser's patience
    add_article(browser, f"{site.url}articles/", "[type=submit]", headline, big_file, photo)
    assert browser.find_element(By.TAG_NAME, "h1").text == headline
    name = site.file_of(headline)
    wait_until(lambda: copies(healthy, name) == [BIG] * 3)
    wait_until(lambda: resto_server.hang)
    assert ("PUT", f"/{name}") not in {entry[:2] for entry in resto_server.log}  # it has not answered the upload
    resto_server.heal()
    wait_until(lambda: site.lines("Failed to upload", name))
    assert site.lines("ERROR", name) == [
        f"ERROR resto: Failed to upload {name} on {resto_server.url}. The connection broke before an answer."
    ]


# What operators look at.


def test_system_checks_find_nothing(site):
    assert "no issues" in site.manage("check", "--fail-level", "WARNING")


def test_migrations_contain_no_credential(sites):
    site = sites("HybridStorage")
    migration = site.manage("makemigrations", "newsroom", "--dry-run", "--verbosity", "3")
    assert "resto.storage.HybridStorage(" in migration
    assert "'auth': 'media'" in migration
    assert site.password not in migration


def test_the_log_contains_no_credential(start_site, resto_server, visit, headline):
    resto_server.refuse_code = 401
    site = start_site("HybridStorage", [resto_server.url], fatal_exceptions=False, show_traceback=True)
    visit(site).add("articles/", headline, "a.bin", SMALL)
    secret = base64.b64encode(f"newsroom:{site.password}".encode()).decode()
    assert resto_server.requests[-1].headers["Authorization"] == f"Basic {secret}"
    assert site.lines("Traceback")
    assert site.password not in site.log
    assert secret not in site.log

"""The site as its visitors have it: by HTTP, and in a real browser."""

import re
import subprocess
import sys

import pytest
import requests
from selenium.webdriver.common.by import By

from kit.browser import submit
from kit.play import EQUAL, PATIENCE
from sites.workshop.site import wait_until


pytest_plugins = ["kit.browser"]

HOSTS = ("media-1", "media-2", "media-3")


def wait_until_shown(site, host, words):
    wait_until(lambda: words in site.host(host), lambda: site.state())


def wait_until_all_have(site, name, content):
    """Other tests may have stopped a host a moment ago: then a drain sends the file."""
    wait_until(lambda: [site.has(host, name) for host in HOSTS] == [content] * len(HOSTS), lambda: site.state())


def test_an_upload_is_on_all_hosts(site):
    assert "everywhere.txt is saved." in site.upload("everywhere.txt", b"data")
    wait_until_all_have(site, "everywhere.txt", b"data")
    for host in HOSTS:
        assert re.search(f"{re.escape(EQUAL)} .*everywhere.txt 4\\sbytes", site.host(host))


def test_a_visitor_is_sent_to_a_host_that_runs(site):
    site.upload("a photo.txt", b"smile")
    for host in ("media-2", "media-3"):
        wait_until_shown(site, host, EQUAL)  # other tests may have stopped it
    site.click("stop media-1")
    assert site.visitor.get(f"{site.url}media/a_photo.txt", timeout=PATIENCE).content == b"smile"


def test_a_stopped_host_catches_up(site):
    assert "stopped" in site.click("stop media-2")
    assert "missed.txt is saved." in site.upload("missed.txt", b"data")
    shown = site.host("media-2")
    assert "Not equal to the master copy. 1 pending: connection refused" in shown
    assert "missed.txt missing" in shown
    site.click("start media-2")
    wait_until_shown(site, "media-2", EQUAL)
    assert site.has("media-2", "missed.txt") == b"data"


def test_a_frozen_host_catches_up(site):
    assert "Thaw" in site.click("freeze media-3")
    site.upload("late.txt", b"data")
    assert "1 pending: no answer within 1 s" in site.host("media-3")
    site.click("start media-3")
    wait_until_shown(site, "media-3", EQUAL)
    assert site.has("media-3", "late.txt") == b"data"


def test_a_refused_upload_is_nowhere_and_reads_like_a_sentence(site):
    site.click("switch on")
    site.click("stop media-1")
    page = site.upload("nowhere.txt", b"data")
    assert re.search(r"not stored: 127\.0\.0\.1:\d+ does not answer; nothing was saved\.", page)
    assert [site.has(host, "nowhere.txt") for host in ("master", *HOSTS)] == [None] * 4


def test_a_wiped_host_is_filled_once_it_is_adopted(site):
    site.upload("lost.txt", b"data")
    assert "It has lost its files" in site.click("wipe media-1")
    assert "lost.txt missing" in site.host("media-1")
    assert "Adopted." in site.click("adopt media-1")
    assert "Equal to the master copy." in site.host("media-1")
    assert site.has("media-1", "lost.txt") == b"data"


def test_a_deleted_file_is_nowhere(site):
    page = site.upload("gone.txt", b"data")
    (button,) = re.findall('value="(delete [0-9]+)" aria-label="Delete gone.txt"', page)
    assert "gone.txt is deleted." in site.click(button)
    assert [site.has(host, "gone.txt") for host in ("master", *HOSTS)] == [None] * 4


def test_commands_say_what_they_say_in_a_terminal(site):
    assert re.search(r"\$ python manage\.py resto_status\ndefault: ", site.click("manage resto_status"))
    command = [sys.executable, "-m", *site.manage, "resto_status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.count("answers; nothing is pending.") == 3, done.stderr


def test_the_watching_process_stops_and_starts(site):
    assert '<section class="stopped" id="watcher"' in site.click("stop watcher")
    assert '<section class="running" id="watcher"' in site.click("start watcher")


def test_the_admin_takes_uploads(site):
    answer = site.post("admin/play/upload/add/", {}, {"file": ("by the editor.txt", b"data")})
    assert "was added successfully" in answer
    wait_until_all_have(site, "by_the_editor.txt", b"data")


@pytest.mark.parametrize("path", ["", "state/", "media/everywhere.txt", "enter/wrong/"])
def test_nobody_else_sees_anything(site, path):
    answer = requests.get(f"{site.url}{path}", timeout=PATIENCE)
    assert answer.status_code == 403
    assert "Open the address" in answer.text


@pytest.mark.parametrize(
    "do", ["", "stop", "stop media-9", "wipe watcher", "adopt media-9", "manage flush", "delete x"]
)
def test_buttons_that_are_not_there(site, do):
    if do == "delete x":
        site.click(do)
        return
    with pytest.raises(requests.HTTPError, match="404"):
        site.click(do)


def test_what_changes_something_wants_a_token(site):
    answer = site.visitor.post(f"{site.url}act/", {"do": "stop media-1"}, timeout=PATIENCE)
    assert answer.status_code == 403
    assert "running" in site.host("media-1")


def test_the_page_has_no_inline_script_or_style(site):
    assert re.findall(r"<style|<script(?! src=)|\sstyle=|\son\w+=", site.page) == []


def test_the_page_in_a_browser_shows_by_itself_what_changes(site, browser, tmp_path):
    (tmp_path / "clicked.txt").write_bytes(b"data")

    def state(host):
        return browser.find_element(By.CSS_SELECTOR, f"#{host} .state").text

    browser.get(site.address)
    browser.find_element(By.NAME, "file").send_keys(str(tmp_path / "clicked.txt"))
    submit(browser, ".upload button")
    assert site.has("media-3", "clicked.txt") == b"data"
    submit(browser, "#stop-media-2")
    assert state("media-2") == "stopped"
    site.click("freeze media-1")
    site.click("start media-2")
    wait_until(lambda: browser.execute_script("return document.querySelector('#media-1').className") == "frozen")
    assert state("media-2") == "running"
    for width in (1100, 360):
        browser.set_window_size(width, 900)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")

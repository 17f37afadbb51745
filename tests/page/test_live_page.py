"""The pages in a real browser, while real hosts are stopped, frozen, wiped and started."""

import threading
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.files.base import ContentFile
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.test import Client
from django.test.testcases import QuietWSGIRequestHandler
from selenium.webdriver.support.wait import WebDriverWait

from kit import axe
from kit.browser import DEADLINE, submit
from kit.recognized import wipe
from resto.models import Run
from resto.page import hosts, looks
from resto.progress import Progress
from resto.record import traces, wishes
from resto.record.traces import Trace
from resto.repair.status import host_statuses


# Scripts and styles of files only, as strict sites have it.
POLICY = "default-src 'self'; img-src 'self' data:"


class Strict(StaticFilesHandler):
    """Serves the site, and has the browser obey the policy."""

    def __call__(self, environ, start_response):
        def start(status, headers, *args):
            return start_response(status, [*headers, ("Content-Security-Policy", POLICY)], *args)

        return super().__call__(environ, start)


@pytest.fixture
def live(site, identities_apply, browser, settings, monkeypatch):
    """The site, its address, and a browser in which somebody is logged in who may do everything."""
    settings.RESTO_TIMEOUT = 0.4
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(hosts, "REFRESH", 0.1)
    monkeypatch.setattr(looks._all, "_kept", 0.0)
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    server.set_app(Strict(WSGIHandler()))
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/admin/resto/"
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    browser.get(
        f"http://127.0.0.1:{server.server_port}/static/resto/page.css"
    )  # a cookie is for the site that is shown
    browser.add_cookie({"name": "sessionid", "value": client.cookies["sessionid"].value})
    yield SimpleNamespace(url=url, browser=browser, storage=site)
    browser.get("about:blank")
    server.shutdown()
    server.server_close()


def text(browser, selector):
    """What is shown there; empty if nothing is."""
    # In one step, as elements are replaced meanwhile.
    script = (
        "const found = document.querySelector(arguments[0]); return found?.checkVisibility() ? found.innerText : ''"
    )
    return browser.execute_script(script, selector)


def wait_for(browser, selector, words):
    WebDriverWait(browser, DEADLINE, poll_frequency=0.02).until(lambda driver: words in text(driver, selector))


def test_hosts_go_and_come_while_the_page_is_open(live, servers):
    browser = live.browser
    live.storage.save("a.txt", ContentFile(b"a"))  # so that hosts have proven which ones they are
    browser.get(f"{live.url}host/")
    wait_for(browser, "#resto-verdict", "All is well")

    servers[1].refuse = True
    wait_for(browser, "#resto-wrong", f"{servers[1].url} does not answer: connection refused")
    wait_for(browser, "#resto-verdict", "Something is wrong.")
    servers[1].refuse = False
    wait_for(browser, "#resto-verdict", "All is well")

    servers[0].hang = True
    wait_for(browser, "#resto-wrong", f"{servers[0].url} does not answer: ")
    servers[0].hang = False
    wait_for(browser, "#resto-verdict", "All is well")

    wipe(servers[1])
    wait_for(browser, "#resto-wrong", servers[1].url)
    (problem,) = [status.identity_problem for status in host_statuses() if status.identity_problem]
    wait_for(browser, "#resto-wrong", problem)


def focused(browser):
    return browser.execute_script("return document.activeElement.id")


def test_what_has_the_focus_keeps_it(live, servers):
    browser = live.browser
    browser.get(f"{live.url}host/")
    wait_for(browser, "#resto-verdict", "All is well")
    browser.execute_script("document.getElementById('resto-drain-1-2').focus()")
    servers[1].refuse = True
    wait_for(browser, "#resto-wrong", "does not answer")
    assert focused(browser) == "resto-drain-1-2"


def test_page_says_that_it_is_stale(live):
    browser = live.browser
    browser.get(f"{live.url}host/")
    wait_for(browser, "#resto-verdict", "All is well")
    assert text(browser, "#resto-stale") == ""
    browser.delete_cookie("sessionid")
    wait_for(browser, "#resto-stale", "Reload it.")


def bar(browser):
    found = browser.execute_script("const bar = document.querySelector('progress'); return bar && [bar.value, bar.max]")
    return found and tuple(found)


def test_what_is_asked_for_is_seen_to_be_done(live, monkeypatch):
    monkeypatch.setattr(traces, "interval", lambda: 0.05)
    browser = live.browser
    browser.get(f"{live.url}host/")
    submit(browser, "#resto-drain-1")
    assert "Asked for: drain of default." in text(browser, ".messagelist")
    assert "asked" in text(browser, "#resto-under-way + *")
    [wish] = wishes.waiting(["drain"])
    run = wishes.begin(wish.id)
    assert (run.kind, run.storage, run.options, run.asked_by) == ("drain", "default", {"now": True}, "ann")
    with Trace("drain", ["default"], asked=run) as trace:
        trace.begin()
        for done in (10, 30):
            trace.note(Progress(done, 40))
            WebDriverWait(browser, DEADLINE, poll_frequency=0.02).until(
                lambda driver, wanted=(done, 40): bar(driver) == wanted
            )
        trace.end(0, counts={"sent": 40})
    wait_for(browser, "#resto-last + *", "40 sent")
    assert text(browser, "#resto-under-way ~ p") == "Nothing is under way."


def add_rows(storage, server):
    server.refuse = True
    storage.save("photos/a.txt", ContentFile(b"a"))
    Run.objects.create(kind="drain", asked=1, started=1, seen=1)
    return Run.objects.create(
        kind="sync", asked=1, started=1, seen=2, ended=2, code=1, problems='["No."]', report="[1]"
    ).pk


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_pages(live, servers, scheme):
    """But for the search of the admin, which is as Django has it."""
    browser = live.browser
    number = add_rows(live.storage, servers[1])
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    pages = ["host/", "host/file/?name=photos/a.txt"]
    if scheme == "light":  # the colours of the others are those of the admin
        pages += ["pending/", "run/", f"run/{number}/change/"]
    try:
        for page in pages:
            browser.get(live.url + page)
            assert (page, axe.violations(browser, "#content", "#changelist-search")) == (page, [])
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_pages_fit_into_a_narrow_window(live, servers):
    browser = live.browser
    number = add_rows(live.storage, servers[1])
    metrics = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for page in ["host/", "host/file/?name=photos/a.txt", f"run/{number}/change/"]:
            browser.get(live.url + page)
            assert browser.execute_script("return document.documentElement.scrollWidth") == 360, page
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_violations_would_be_found(live):
    browser = live.browser
    browser.get(f"{live.url}host/")
    browser.execute_script("document.getElementById('resto-find-name').removeAttribute('id')")
    assert [one for one in axe.violations(browser, "#content") if one.startswith("label: ")]

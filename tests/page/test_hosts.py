"""The page of hosts, as somebody gets it who has no JavaScript."""

import html
import re
import time

import pytest
from django.contrib.admin import AdminSite
from django.contrib.messages import get_messages
from django.db import DatabaseError
from django.test import Client
from django.urls import path

from resto.admin import register
from resto.models import Host, Pending, Run
from resto.page import asking, hosts, looks, now
from resto.page.asking import buttons, due_value
from resto.record import rests
from resto.repair import status
from resto.repair.watch.errands import Errands


PAGE, ASK, FILE = "/admin/resto/host/", "/admin/resto/host/ask/", "/admin/resto/host/file/"
DUE = "/admin/resto/host/due/"


def text_of(answer):
    """The text of a page, each run of white space as one space."""
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text))


def watches(**values):
    moment = time.time()
    times = {"asked": moment, "started": moment, "seen": moment}
    return Run.objects.create(kind="watch", machine="web-1", process=7, **{**times, **values})


def press(client, storage="default", host="", kind="drain"):
    (button,) = [one for one in buttons(storage, host) if one.kind == kind]
    return client.post(ASK, {"ask": button.value})


def told(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


# What it shows.


def test_all_is_well(operator, servers):
    watches()
    text = text_of(operator.get(PAGE))
    assert "All is well: hosts answer, and nothing is pending." in text
    assert re.search(rf"{servers[0].url} answers in \d+ ms closed nothing is pending", text)
    assert "process 7 of web-1 stays and drains" in text
    assert "No process watches" not in text


def test_host_is_down(operator, servers, miss):
    miss(servers[1], "a.txt")
    assert "Hosts lag behind." in (text := text_of(operator.get(PAGE)))
    assert f"default: {servers[1].url} answers; 1 pending" in text
    servers[1].refuse = True
    looks.forget()
    text = text_of(operator.get(PAGE))
    assert "Something is wrong." in text
    assert f"default: {servers[1].url} does not answer: connection refused; 1 pending" in text
    assert re.search(r"refused\) not known", text)
    assert "nobody has drained so far: run manage.py resto_drain --watch." in text


def test_pending_names_of_a_host_are_one_click_away(operator, servers, miss):
    miss(servers[1], "a.txt")
    (link,) = re.findall(r'href="(/admin/resto/pending/\?[^"]+)"', operator.get(PAGE).text)
    assert "a.txt" in operator.get(link).text


def test_nobody_watches(operator):
    text = text_of(operator.get(PAGE))
    assert (
        "nobody does what is asked for here. On a machine that has the files, run manage.py resto_drain --watch."
        in text
    )


def test_breakers_of_processes_that_watch(operator, servers):
    watches(report=f'{{"breakers": [{{"storage": "default", "host": "{servers[1].url}", "state": "open"}}]}}')
    text = text_of(operator.get(PAGE))
    assert text.count("open in process 7 of web-1") == 1


def test_process_that_watched_has_died(operator):
    watches(seen=time.time() - 7200)
    text = text_of(operator.get(PAGE))
    assert "Something is wrong." in text
    assert "default: process 7 of web-1, which stayed and drained, has given no sign of life for 2 hours" in text


def compared(**values):
    moment = time.time() - 7200
    times = {"asked": moment, "started": moment, "seen": moment, "ended": moment}
    return Run.objects.create(kind="sync", storage="default", **{"machine": "web-1", "process": 7, **times, **values})


@pytest.mark.parametrize(
    ("values", "outcome"),
    [({"code": 1}, "0 files compared, not everything agrees"), ({"ended": None}, "it was broken off")],
)
def test_comparison_that_has_failed_or_was_broken_off(operator, values, outcome):
    watches()
    compared(**values)
    answer = operator.get(PAGE)
    text = text_of(answer)
    assert "Hosts may lack something." in text
    doubts = answer.text.partition('id="resto-doubts"')[2].partition("</ul>")[0]
    assert f"default: last compared 2 hours ago: {outcome}; nothing is known of one after which" in doubts
    compared(code=0)
    text = text_of(operator.get(PAGE))
    assert "All is well" in text


def test_what_has_died_is_not_under_way(operator):
    """But what waits to be begun again is."""
    compared(ended=None)
    compared(ended=None, options='{"prefix": "again"}', asked_by="ann", begun=1)
    compared(started=None, seen=None, options='{"prefix": "no"}', problems='["withdrawn by ann"]')
    text = text_of(operator.get(PAGE))
    under_way, last = re.search("Under way(.*)Last runs(.*)Where is a file", text).groups()
    again = "dead it was broken off, and is begun again by the next process that watches"
    assert f"sync of default, below again {again}" in under_way
    assert "sync of default dead it was broken off 2 hours" in last
    assert "sync of default, below no withdrawn withdrawn by ann" in last
    assert under_way.count("sync of") == 1


def test_host_that_is_not_in_the_settings(operator, servers, miss, settings):
    miss(servers[1], "a.txt")
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    text = text_of(operator.get(PAGE))
    assert f"default: {servers[1].url} is not a host of this storage; 1 pending" in text
    assert f"manage.py resto_forget --storage default {servers[1].url}" in text


def test_what_can_lose_files_is_typed(operator, servers, media_root):
    watches()
    text = text_of(operator.get(PAGE))
    assert f"manage.py resto_restore --storage default a machine that has {media_root}, such as web-1" in text
    assert f"manage.py resto_adopt --storage default --host {servers[0].url}" in text


def test_storage_without_hosts(operator, settings):
    settings.RESTO_MEDIA_HOSTS = "none"
    answer = operator.get(PAGE)
    assert "has no hosts on purpose" in text_of(answer)
    assert 'id="resto-drain-1"' not in answer.text


def test_site_without_storages(operator, settings):
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    assert "STORAGES has none of resto." in text_of(operator.get(PAGE))


def test_storages_that_cannot_be_used(operator, settings, servers):
    good = settings.STORAGES["default"]
    wrong = {"BACKEND": good["BACKEND"], "OPTIONS": {"hosts": ["no host"]}}
    settings.STORAGES = {"default": good, "wrong": wrong, "gone": {"BACKEND": "no.such.Storage"}}
    text = text_of(operator.get(PAGE))
    assert "STORAGES[&#x27;gone&#x27;]: its BACKEND &#x27;no.such.Storage&#x27; cannot be imported" in text
    assert "wrong: invalid host &#x27;no host&#x27;" in text
    assert f"{servers[0].url} answers" in text


def test_record_that_cannot_be_read(operator, monkeypatch):
    def fail(*args):
        raise DatabaseError("it is down")

    monkeypatch.setattr(status, "backlog_of", fail)
    monkeypatch.setattr(now, "watching", fail)
    monkeypatch.setattr(now, "work_on", fail)
    text = text_of(operator.get(PAGE))
    assert "The record cannot be read: it is down" in text
    assert "default: the record cannot be read: it is down." in text


def test_no_secret_appears(operator, site, servers, settings, identities_apply):
    settings.RESTO_SECRETS = {"media": ("user", "a password")}
    settings.STORAGES["default"]["OPTIONS"]["transport_options"] = {"auth": "media"}
    operator.get(PAGE)
    known = Host.objects.create(storage="default", host="", identity="1" * 32, mark="2" * 32, looked=time.time())
    for page in (PAGE, f"{FILE}?name=a.txt", "/admin/resto/run/", "/admin/resto/pending/"):
        text = operator.get(page).text
        assert not [secret for secret in ("a password", known.identity, known.mark) if secret in text]


def test_pages_have_no_script_or_style_within(operator, servers, miss):
    """Strict sites do not let it run."""
    miss(servers[1], "a.txt")
    for page in (PAGE, f"{FILE}?name=a.txt"):
        text = operator.get(page).text
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", text)


# Who sees it, and who may ask.


@pytest.mark.parametrize("page", [PAGE, FILE])
def test_only_those_who_may_view_hosts_see_it(page, client, user_with):
    assert client.get(page).status_code == 302
    client.force_login(user_with())
    assert client.get(page).status_code == 403
    client.force_login(user_with("view_host"))
    assert client.get(page).status_code == 200


def test_others_see_no_buttons_and_no_links(client, user_with, servers, miss):
    miss(servers[1], "a.txt")
    client.force_login(user_with("view_host"))
    text = client.get(PAGE).text
    assert "Drain now" not in text
    assert "Send again" not in text
    assert "/admin/resto/pending/" not in text
    assert "/admin/resto/run/" not in text
    assert press(client).status_code == 403
    assert not Run.objects.exists()


def test_those_who_may_add_a_run_may_ask(client, user_with):
    client.force_login(user_with("view_host", "add_run"))
    assert "Drain now" in client.get(PAGE).text
    press(client)
    assert Run.objects.get().asked_by == "view_host-add_run"


def test_nobody_asks_for_somebody_else(site, user_with):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_with("view_host", "add_run"))
    assert press(client).status_code == 403
    assert not Run.objects.exists()


@pytest.mark.parametrize(("page", "method"), [(PAGE, "post"), (FILE, "post"), (ASK, "get")])
def test_only_what_changes_something_is_posted(operator, page, method):
    assert getattr(operator, method)(page).status_code == 405


def test_rows_are_shown_to_nobody(operator):
    Host.objects.create(storage="default", host="", identity="1" * 32, looked=1)
    assert operator.get(f"{PAGE}{Host.objects.get().pk}/change/").status_code == 404


# Asking.


@pytest.mark.parametrize(
    ("kind", "options", "what"), [("drain", '{"now": true}', "drain"), ("sync", "{}", "sync"), ("probe", "{}", "probe")]
)
def test_button_of_a_storage(operator, kind, options, what):
    watches()
    answer = press(operator, kind=kind)
    assert (answer.status_code, answer.url) == (302, PAGE)
    assert told(answer) == [f"Asked for: {what} of default."]
    run = Run.objects.get(started=None)
    assert (run.kind, run.storage, run.hosts, run.options, run.asked_by) == (kind, "default", "[]", options, "ann")


def test_button_of_a_host(operator, servers):
    press(operator, host=servers[1].url)
    assert Run.objects.get().hosts == f'["{servers[1].url}"]'


def test_nobody_does_what_is_asked_for(operator):
    (message,) = told(press(operator))
    assert message.endswith("No process watches the record, so that nobody begins: run manage.py resto_drain --watch.")
    press(operator)
    assert Run.objects.count() == 1
    assert "nobody has begun so far" in text_of(operator.get(PAGE))


def test_process_that_stays_does_what_was_asked_for(operator, servers, miss):
    miss(servers[1], "a.txt")
    press(operator)
    errands = Errands()
    errands.do(errands.claim(["drain"]), lambda: None)
    looks.forget()
    text = text_of(operator.get(PAGE))
    assert "All is well: hosts answer, and nothing is pending." in text
    assert re.search(r"drain of default done 1 sent \d seconds? ann ", text)
    assert servers[1].get_file("a.txt") == b"a.txt"


# Making due.


def make_due(client, host, storage="default"):
    return client.post(DUE, {"due": due_value(storage, host)})


def test_what_rests_is_made_due_at_once(operator, servers, miss):
    """Whether or not a process watches."""
    miss(servers[1], "a.txt", "b.txt")
    Pending.objects.update(due=time.time() + 3600, quiet_until=0)
    (value,) = re.findall(r'name="due" value="([^"]+)"', operator.get(PAGE).text)
    answer = operator.post(DUE, {"due": html.unescape(value)})
    assert (answer.status_code, answer.url) == (302, PAGE)
    assert told(answer) == [f"2 names made due for {servers[1].url}: the next drain sends that."]
    assert all(row.due <= time.time() for row in Pending.objects.all())
    assert not Run.objects.exists()
    assert told(make_due(operator, servers[1].url))[-1].startswith(
        f"Nothing rests for {servers[1].url}: it is due already"
    )


def test_no_more_is_made_due_than_a_page_can_wait_for(operator, servers, miss, monkeypatch):
    monkeypatch.setattr(hosts, "MOST", 1)
    monkeypatch.setattr(rests, "PART", 1)
    miss(servers[1], "a.txt", "b.txt")
    Pending.objects.update(due=time.time() + 3600, quiet_until=0)
    assert told(make_due(operator, servers[1].url))[0].endswith("There may be more; ask again.")
    assert Pending.objects.filter(due__gt=time.time()).count() == 1


@pytest.mark.parametrize(("storage", "host"), [("no", "x"), ("default", "http://no/"), ("default", "")])
def test_what_is_no_host_is_not_made_due(operator, storage, host):
    (message,) = told(make_due(operator, host, storage))
    assert message in {
        "STORAGES has no 'no' of resto.",
        "STORAGES['default'] has no host http://no/.",
        "No host is named.",
    }


def test_those_who_may_change_names_may_make_them_due(client, user_with, servers, miss):
    miss(servers[1], "a.txt")
    client.force_login(user_with("view_host", "add_run"))
    assert "Make due" not in client.get(PAGE).text
    assert make_due(client, servers[1].url).status_code == 403
    client.force_login(user_with("view_host", "change_pending"))
    text = client.get(PAGE).text
    assert "Make due" in text
    assert "Drain now" not in text
    assert told(make_due(client, servers[1].url))


def test_nobody_makes_due_for_somebody_else(site, servers, user_with):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_with("view_host", "change_pending"))
    assert make_due(client, servers[1].url).status_code == 403
    assert client.get(DUE).status_code == 405


def test_record_in_which_nothing_can_be_made_due(operator, servers, monkeypatch):
    def fail(*args):
        raise DatabaseError("it is down")

    monkeypatch.setattr(hosts, "make_due", fail)
    assert told(make_due(operator, servers[1].url)) == ["The record cannot be used: it is down"]


def test_send_again(operator):
    operator.post(ASK, {"kind": "sync", "storage": "default", "directory": "photos//2026/", "checksum": "1"})
    assert Run.objects.get().options == '{"prefix": "photos/2026", "checksum": true}'


def test_wrong_wish(operator):
    answer = operator.post(ASK, {"kind": "sync", "storage": "default", "directory": "../etc"})
    assert told(answer) == ["'../etc' leads out of its directory by '..'."]
    assert not Run.objects.exists()


def test_record_that_cannot_be_used(operator, monkeypatch):
    def fail(*args):
        raise DatabaseError("it is down")

    monkeypatch.setattr(asking.wishes, "ask", fail)
    assert told(press(operator)) == ["The record cannot be used: it is down"]


def test_asking_on_the_page_of_a_file_leads_back_there(operator):
    answer = operator.post(ASK, {"kind": "sync", "storage": "default", "directory": "", "name": "a b.txt"})
    assert answer.url == f"{FILE}?storage=default&name=a+b.txt"


# An admin of one's own.


def test_site_of_ones_own(operator, settings, site, servers, miss):
    miss(servers[1], "a.txt")
    own = AdminSite("own")
    register(own)
    register(own)  # no harm
    settings.ROOT_URLCONF = (path("own/", own.urls),)
    answer = operator.get("/own/resto/host/")
    assert 'action="/own/resto/host/ask/"' in answer.text
    assert 'href="/admin/' not in answer.text
    assert operator.get("/own/resto/").status_code == 200

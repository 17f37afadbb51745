"""To which host a URL leads."""

import asyncio
import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext, override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from kit.hosts import MemoryTransport
from resto import checks, health
from resto.exceptions import ConfigurationError
from resto.models import Host, Pending
from resto.record import lag
from resto.record.identities import GONE, NEW
from resto.storage import DistributedStorage, host_urls
from resto.storage.host_urls import chosen


HOSTS = ("http://one/", "http://two/", "http://three/")
OPTIONS = {"hosts": [*HOSTS], "url_from": "hosts", "base_url": "https://example.com/"}
BASE = "https://example.com/"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(host_urls, "monotonic", clock)
    host_urls.forget()
    yield clock
    host_urls.forget()


@pytest.fixture
def make(settings):
    def make(name="DistributedStorage", **options):
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{name}", "OPTIONS": OPTIONS | options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    return make()


def pend(host, name, storage="default"):
    return Pending.objects.create(
        storage=storage, host=host, name=name, present=True, owner="", quiet_until=0, due=0, created=1
    )


def host_of(storage, name):
    url = storage.url(name)
    assert url.endswith(f"/{name}")
    return url.removesuffix(name)


# The choice.


URLS = st.lists(st.sampled_from([f"http://{letter}/" for letter in "abcdefgh"]), min_size=1, unique=True)
NAMES = st.text(min_size=1)


@given(URLS, NAMES, st.randoms(use_true_random=False))
def test_choice_does_not_depend_on_the_order(urls, name, random):
    shuffled = [*urls]
    random.shuffle(shuffled)
    assert chosen(urls, name) == chosen(shuffled, name)


@given(URLS, NAMES, st.data())
def test_without_one_of_them_only_its_names_move(urls, name, data):
    gone = data.draw(st.sampled_from(urls))
    before, after = chosen(urls, name), chosen([url for url in urls if url != gone], name)
    assert after == before or before == gone


def test_all_of_them_are_chosen_about_equally_often():
    counts = dict.fromkeys(HOSTS, 0)
    for number in range(3_000):
        counts[chosen(HOSTS, f"{number}.jpg")] += 1
    assert all(900 < count < 1_100 for count in counts.values())


def test_none_of_none_is_chosen():
    assert chosen([], "a") is None


# Where a storage leads.


@pytest.mark.django_db
def test_url_is_that_of_a_host(storage):
    assert host_of(storage, "a.jpg") in HOSTS
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {*HOSTS}
    assert storage.url("a b/é?.jpg") == f"{chosen(HOSTS, 'a b/é?.jpg')}a%20b/%C3%A9%3F.jpg"
    assert storage.url("./a.jpg") == f"{chosen(HOSTS, 'a.jpg')}a.jpg"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["HybridStorage", "AsyncStorage"])
def test_storages_with_a_master_copy_lead_to_hosts(make, media_root, name):
    assert host_of(make(name), "a.jpg") in HOSTS


@pytest.mark.django_db
def test_short_addresses_are_completed(make):
    storage = make(hosts=["media-1:8080", "media-2"], base_url="/media/")
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {
        "http://media-1:8080/media/",
        "http://media-2/media/",
    }


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pend"), st.sampled_from(HOSTS), st.sampled_from("abc")),
        st.tuples(st.just("settle"), st.sampled_from(HOSTS), st.sampled_from("abc")),
        st.tuples(st.just("url"), st.just(""), st.sampled_from("abc")),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.2, 0.9, 1.0])),
    ),
    max_size=30,
)


@pytest.mark.django_db
@given(STEPS)
@example([("url", "", "a"), *(("pend", host, "a") for host in HOSTS), ("wait", "", 1.0), ("url", "", "a")])
def test_nobody_is_led_to_a_host_that_lagged_at_the_look(clock, steps):
    """The look is never older than a second, there is one in each second at most, and what does not lag has the URL that it always has."""
    Pending.objects.all().delete()
    host_urls.forget()
    rows, seen, looked = set(), set(), -1.0
    with override_settings(STORAGES={"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": OPTIONS}}):
        for step, host, what in steps:
            if step == "wait":
                clock.now += what
            elif step == "pend" and (host, what) not in rows:
                pend(host, what)
                rows.add((host, what))
            elif step == "settle":
                Pending.objects.filter(host=host, name=what).delete()
                rows.discard((host, what))
            elif step == "url":
                with CaptureQueriesContext(connection) as queries:
                    found = host_of(storages["default"], what)
                if queries:
                    assert len(queries) == 1
                    assert clock.now - looked >= 1
                    seen, looked = {*rows}, clock.now
                assert clock.now - looked <= 1
                fit = [host for host in HOSTS if (host, what) not in seen]
                assert found == (chosen(fit, what) or BASE)


@pytest.mark.django_db
def test_whoever_follows_a_url_finds_the_file(make, media_root, resto_server_factory, clock):
    servers = [resto_server_factory() for _ in range(3)]
    storage = make(
        "HybridStorage", hosts=[server.url for server in servers], transport="webdav", fatal_exceptions=False
    )
    names = []
    for lagging in [*servers, None]:
        if lagging is not None:
            lagging.readonly = True
        names += [storage.save(f"{len(names) + number}.txt", ContentFile(b"content")) for number in range(5)]
        if lagging is not None:
            lagging.readonly = False
        clock.now += 1
        leading = [next(one for one in servers if storage.url(name).startswith(one.url)) for name in names]
        assert [name for name, server in zip(names, leading, strict=True) if name not in server.files] == []
    assert Pending.objects.count() == 15
    assert {server.url for server in leading} == {server.url for server in servers}


@pytest.mark.django_db
def test_rows_of_other_storages_do_not_count(storage):
    for host in HOSTS:
        pend(host, "a", "other")
    assert host_of(storage, "a") in HOSTS


@pytest.mark.django_db
def test_host_that_may_lack_very_much_is_left_out(storage, monkeypatch):
    monkeypatch.setattr(lag, "MOST", 3)
    for number in range(4):
        pend(HOSTS[0], f"pending-{number}")
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {*HOSTS[1:]}


@pytest.mark.django_db
@pytest.mark.parametrize("state", [GONE, NEW])
def test_host_that_has_lost_its_files_is_left_out(storage, state):
    for host, its in [(HOSTS[0], state), (HOSTS[1], "")]:
        Host.objects.create(storage="default", host=host, identity="0" * 32, state=its, looked=1)
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {*HOSTS[1:]}


@pytest.mark.django_db
def test_host_that_cannot_be_reached_is_left_out(storage, breaker_clock):
    breaker = health.find_breaker(HOSTS[0])
    for _ in range(health.MAX_FAILURES):
        breaker.failed(breaker.admit(HOSTS[0], "a", "upload"), "refused")
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {*HOSTS[1:]}
    breaker_clock.now += health.FIRST_PAUSE
    breaker.admit(HOSTS[0], "a", "upload")  # a probe
    assert HOSTS[0] not in {host_of(storage, f"{number}.jpg") for number in range(50)}
    breaker.reached()
    assert {host_of(storage, f"{number}.jpg") for number in range(50)} == {*HOSTS}


# Where nobody can tell, it is base_url.


@pytest.mark.django_db
def test_default_is_base_url(settings):
    settings.STORAGES = {"default": {"BACKEND": "resto.storage.DistributedStorage", "OPTIONS": {"hosts": [*HOSTS]}}}
    with CaptureQueriesContext(connection) as queries:
        assert storages["default"].url("a") == "/media/a"
    assert not queries


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", None, "..", "../a", "/etc/passwd"])
def test_what_is_no_file_is_below_base_url(storage, name):
    assert storage.url(name).startswith(BASE)


def test_where_no_database_may_be_used(storage):
    assert host_of(storage, "a") == BASE


@pytest.mark.django_db
def test_in_an_event_loop(storage):
    async def ask():
        return storage.url("a")

    assert asyncio.run(ask()) == f"{BASE}a"
    assert host_of(storage, "a") in HOSTS


@pytest.mark.django_db
def test_in_a_transaction_that_has_failed(storage):
    with transaction.atomic():
        transaction.set_rollback(True)
        assert host_of(storage, "a") == BASE
        transaction.set_rollback(False)
    assert host_of(storage, "a") in HOSTS


@pytest.mark.django_db
def test_without_a_table(storage, monkeypatch):
    monkeypatch.setattr(lag, "_LOST", lag._LOST.replace("resto_host", "resto_missing"))
    with CaptureQueriesContext(connection) as queries:
        assert [host_of(storage, name) for name in "aaa"] == [BASE] * 3
    assert len([query for query in queries if "UNION" in query["sql"]]) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("database", ["missing", 7])
def test_without_the_database(storage, settings, database):
    settings.RESTO_DATABASE = database
    assert host_of(storage, "a") == BASE


@pytest.mark.django_db
@pytest.mark.usefixtures("without_application")
def test_without_a_record(make):
    assert host_of(make(), "a") == BASE


@pytest.mark.django_db
def test_with_other_options_that_are_wrong(make):
    assert host_of(make(timeout=-1), "a") == BASE


@pytest.mark.django_db
def test_without_hosts(make, media_root):
    assert host_of(make("HybridStorage", hosts="none"), "a") == BASE


@pytest.mark.django_db
def test_with_hosts_that_visitors_do_not_see(make):
    assert host_of(make(transport=MemoryTransport), "a") == BASE


@pytest.mark.django_db
def test_with_a_base_url_that_was_assigned(storage):
    storage.base_url = "https://elsewhere/"
    assert storage.url("a") == "https://elsewhere/a"
    storage.base_url = None
    with pytest.raises(ValueError, match="not accessible"):
        storage.url("a")


@pytest.mark.django_db
def test_other_threads_do_not_wait_for_the_one_that_looks(storage, monkeypatch, clock):
    """They use what was seen before, for another second."""
    first = host_of(storage, "a")
    looking, go_on = threading.Event(), threading.Event()

    def slow(alias, hosts):
        looking.set()
        assert go_on.wait(60)
        raise DatabaseError

    monkeypatch.setattr(host_urls, "lag_of", slow)
    monkeypatch.setattr(host_urls.database, "is_active", lambda: True)
    clock.now += 1
    thread = threading.Thread(target=storage.url, args=["a"])
    thread.start()
    try:
        assert looking.wait(60)
        assert host_of(storage, "a") == first
        clock.now += 1
        assert host_of(storage, "a") == BASE
    finally:
        go_on.set()
        thread.join()
    assert host_of(storage, "a") == BASE


# What is wrong.


def test_setting_holds_for_all(settings):
    settings.RESTO_URL_FROM = "hosts"
    assert DistributedStorage(HOSTS).url_from == "hosts"
    assert DistributedStorage(HOSTS, url_from="base_url").url_from == "base_url"


@pytest.mark.parametrize("value", ["host", True, 3, ["hosts"]])
def test_other_values_are_refused(make, value):
    storage = make(url_from=value)
    assert [(problem.code, repr(value) in problem.problem) for problem in storage.problems()] == [("E031", True)]
    with pytest.raises(ConfigurationError, match="url_from is"):
        storage.require_sound_options()


def warnings(storage):
    return [message.id for message in checks._check_storage("here", storage) if message.id == "resto.W019"]


@pytest.mark.django_db
def test_check_warns_where_it_has_no_effect(make, without_application):
    assert warnings(make()) == ["resto.W019"]
    assert warnings(make(url_from="base_url")) == []


@pytest.mark.django_db
def test_check_warns_of_hosts_that_visitors_do_not_see(make):
    assert warnings(make(transport=MemoryTransport)) == ["resto.W019"]
    assert warnings(make()) == []

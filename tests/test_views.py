"""What machines ask a site. That the answers are true is tested with what they come from."""

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from kit.hosts import lagging_storage


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_overview", "site")]

urlpatterns = [path("resto/", include("resto.urls"))]

PAGES = ["live", "ready", "metrics", "status"]
TOKEN = {"Authorization": "Bearer a token"}


@pytest.fixture
def site(settings):
    settings.ROOT_URLCONF = __name__
    settings.RESTO_SECRETS = {"metrics": "a token"}
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory(webdav=False) for _ in range(2)]


@pytest.fixture
def storage(settings, media_root, servers):
    return lagging_storage(settings, servers)


@pytest.fixture
def lost_table():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE resto_run RENAME TO resto_away")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE resto_away RENAME TO resto_run")


def get(name, **options):
    return Client(**options).get(f"/resto/{name}")


@pytest.mark.parametrize("name", PAGES)
def test_any_page(name):
    """Nobody keeps an answer, and nobody can change anything."""
    answer = get(name, headers=TOKEN)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert Client(headers=TOKEN).head(f"/resto/{name}").status_code == 200
    assert Client(headers=TOKEN).post(f"/resto/{name}").status_code == 405


@pytest.mark.parametrize("name", ["live", "ready"])
def test_pages_for_everybody(name):
    answer = get(name)
    assert (answer.status_code, answer.text) == (200, f"{name}\n")


@pytest.mark.parametrize("name", ["metrics", "status"])
def test_pages_for_who_may_see_them(settings, name):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    for options in ({}, {"headers": {"Authorization": "Bearer another"}}):
        refused = get(name, **options)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert refused.text.startswith("Sign in as a member of staff")
    client = Client()
    for staff, active, status in [(False, True, 401), (True, True, 200), (True, False, 401)]:
        user = User.objects.create_user(f"{staff} {active}", is_staff=staff, is_active=active)
        client.force_login(user)
        assert client.get(f"/resto/{name}").status_code == status


@pytest.mark.parametrize("name", ["metrics", "status"])
def test_nobody_has_a_token_that_the_site_does_not_have(settings, name):
    settings.RESTO_SECRETS = {}
    assert get(name, headers=TOKEN).status_code == 401


@pytest.mark.parametrize("name", ["metrics", "status"])
def test_site_without_users(settings, name):
    settings.MIDDLEWARE = []
    assert get(name).status_code == 401
    assert get(name, headers=TOKEN).status_code == 200


@pytest.mark.usefixtures("identities_apply")
def test_site_that_is_not_ready(storage, media_root):
    storage.save("a", ContentFile(b"1"))
    media_root.rename(media_root.with_name("elsewhere"))
    answer = get("ready")
    assert answer.status_code == 503
    assert answer.text == "The directory of STORAGES['default'] does not prove to be its master copy.\n"
    assert get("live").status_code == 200
    found = get("status", headers=TOKEN).json()
    assert found["ready"] is False
    assert str(media_root) in found["master_copies"][0]["problem"]


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ({"BACKEND": "no.such.Storage"}, "its BACKEND 'no.such.Storage' cannot be imported"),
        ({"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"timeout": "soon"}}, "the timeout must be"),
        (["resto.storage.HybridStorage"], "it is of type list, and must be a mapping"),
    ],
)
def test_settings_that_are_wrong_are_named(settings, storage, problem):
    """And no directory is blamed for them."""
    settings.STORAGES = {"media": storage}
    answer = get("ready")
    assert (answer.status_code, answer.text) == (503, "STORAGES['media'] cannot be used: manage.py check says why.\n")
    found = get("status", headers=TOKEN).json()
    (wrong,) = found["settings"]
    assert wrong["setting"] == "STORAGES['media']"
    assert wrong["problem"].startswith(f"STORAGES['media']: {problem}")
    assert (found["ready"], found["record"], found["master_copies"]) == (False, {"problem": ""}, [])


def test_host_that_is_down_takes_no_site_out_of_a_balancer(storage, servers):
    servers[1].refuse = True
    storage.save("a", ContentFile(b"1"))
    assert get("ready").status_code == 200
    found = get("status", headers=TOKEN).json()
    assert found["ready"] is True
    assert [host["pending"] for host in found["storages"][0]["hosts"]] == [0, 1]
    assert "connection refused" in found["storages"][0]["hosts"][1]["error"]


@pytest.mark.usefixtures("lost_table")
def test_record_that_cannot_be_read(storage):
    answer = get("ready")
    assert (answer.status_code, answer.text) == (503, "The record cannot be read.\n")
    found = get("status", headers=TOKEN).json()
    assert "a table of the record is missing" in found["record"]["problem"]
    assert found["storages"] == []
    assert "resto_record_up 0.0" in get("metrics", headers=TOKEN).text


@pytest.fixture
def broken_database(monkeypatch):
    """Nobody can connect, as where its server is down."""
    usual = connections["default"]
    monkeypatch.setitem(connections.settings["default"], "NAME", "/nonexistent/directory/db.sqlite3")
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    connections["default"] = connections.create_connection("default")
    yield
    connections["default"] = usual


@pytest.mark.usefixtures("broken_database")
@pytest.mark.parametrize(("name", "status"), [("live", 200), ("ready", 503), ("metrics", 200), ("status", 200)])
def test_database_that_is_down(settings, name, status):
    """Even where each request is a transaction, and whoever asks has a session."""
    assert get(name, headers=TOKEN).status_code == status
    settings.MIDDLEWARE.pop()  # which looks who has the session, whatever the view says
    client = Client()
    client.cookies["sessionid"] = "x" * 32
    assert client.get(f"/resto/{name}").status_code == (status if name in ("live", "ready") else 401)


def test_ordinary_views_need_somebody_to_sign_in(settings):
    """So that the tests above are about something."""
    urlpatterns.append(path("other", lambda request: HttpResponse()))
    try:
        assert Client().get("/other").status_code == 302
    finally:
        urlpatterns.pop()

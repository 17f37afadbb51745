"""What `manage.py check` says, by code."""

import inspect
import os
import re
import socket
from pathlib import Path

import pytest
from django.apps import apps
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import DefaultStorage, FileSystemStorage, default_storage, storages
from django.db import connection, models
from django.test.utils import _TestState, isolate_apps
from requests.auth import HTTPBasicAuth

import resto
from kit.checking import run
from resto import checks as checks_module
from resto import site_checks
from resto.checks import check_record, check_secrets, check_storages
from resto.exceptions import ConfigurationError
from resto.executors.inline import InlineExecutor
from resto.record import database, identities
from resto.storage import AsyncStorage, DistributedStorage, HybridStorage
from resto.transports.http import HttpTransport


pytest_plugins = ["kit.packages"]

DISTRIBUTED, HYBRID, ASYNC = (f"resto.storage.{name}Storage" for name in ("Distributed", "Hybrid", "Async"))
HOSTS = ["media-1", "media-2"]
HTTPS = ["https://media-1/", "https://media-2/"]


class QueueExecutor(InlineExecutor):
    """Hands jobs over to somebody else."""

    supports_run = False


class ListExecutor(InlineExecutor):
    """Hands jobs to workers, which find a storage by its alias."""

    needs_alias = True


class RaisingTransport(HttpTransport):
    def __init__(self, base_url, **options):
        raise RuntimeError("no licence")


class RaisingStorage(DistributedStorage):
    def __init__(self):
        raise RuntimeError("no licence")


@pytest.fixture(autouse=True)
def _listing(settings):
    """The default transport cannot list, of which a check warns that has a test of its own."""
    settings.RESTO_TRANSPORT = "webdav"


@pytest.fixture
def check(settings):
    """Check one storage of STORAGES."""

    def check_storage(backend=DISTRIBUTED, **options):
        settings.STORAGES = settings.STORAGES | {"media": {"BACKEND": backend, "OPTIONS": options}}
        return run()

    return check_storage


@pytest.fixture
def check_field():
    """Check the storage of a field of a model."""

    def check_storage(*fields):
        with isolate_apps("django.contrib.auth") as isolated:
            meta = type("Meta", (), {"app_label": "auth"})
            attributes = {f"file_{number}": field for number, field in enumerate(fields)}
            type("Attachment", (models.Model,), {"__module__": __name__, "Meta": meta, **attributes})
            return check_storages(isolated.get_app_configs())

    return check_storage


SOUND = [
    (DISTRIBUTED, {}),
    (HYBRID, {}),
    (ASYNC, {}),
    (HYBRID, {"executor": "inline", "transport": "webdav", "timeout": 0.5, "fatal_exceptions": False}),
    (ASYNC, {"executor": QueueExecutor}),
    (ASYNC, {"executor": ListExecutor}),
    (DISTRIBUTED, {"transport_options": {"auth": "media"}}),
    (HYBRID, {"location": "/nowhere", "allow_overwrite": True, "file_permissions_mode": 0o644}),
]


@pytest.mark.parametrize(("backend", "options"), SOUND)
def test_nothing_is_wrong(check, settings, backend, options):
    settings.RESTO_SECRETS = {"media": ("user", "password")}
    assert check(backend, hosts=HTTPS, **options) == []


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("RESTO_MEDIA_HOSTS", ["media-1", "ftp://media-2/"], "E003"),
        ("RESTO_MEDIA_HOSTS", None, "E003"),
        ("RESTO_TIMEOUT", 0, "E005"),
        ("RESTO_TRANSPORT", "ftp", "E006"),
        ("RESTO_EXECUTOR", "gevent", "E007"),
        ("RESTO_TRANSPORT_OPTIONS", {"auth": "media"}, "E008"),
        ("RESTO_TRANSPORT_OPTIONS", None, "E008"),
        ("RESTO_EXECUTOR_OPTIONS", ["threads"], "E008"),
        ("MEDIA_URL", "/media/?query", "E003"),
    ],
)
def test_settings_are_checked_too(check, settings, setting, value, code):
    settings.RESTO_MEDIA_HOSTS = HOSTS
    setattr(settings, setting, value)
    assert [message.id for message in check()] == [f"resto.{code}"]


WRONG = [
    ("E001", DISTRIBUTED, {"hots": HOSTS}, "has no option hots"),
    ("E001", HYBRID, {"hots": HOSTS}, "has no option hots; it has hosts, base_url, location, file_permissions_mode, "),
    ("E001", HYBRID, {"host": HOSTS}, "Did you mean 'hosts'?"),
    ("E001", HYBRID, {"hosts": HOSTS, "write_quorum": 1}, "HybridStorage has no option write_quorum; it has hosts, "),
    ("E001", f"{__name__}.RaisingStorage", {}, "no licence"),
    ("E001", DISTRIBUTED, {"hosts": HOSTS, "transport": RaisingTransport}, "no licence"),
    ("E015", DISTRIBUTED, {"hosts": HOSTS, "write_quorum": 3}, "write_quorum is 3"),
    ("E015", DISTRIBUTED, {"hosts": HOSTS, "write_quorum": "most"}, "write_quorum is 'most'"),
    ("E016", "resto.staticfiles.StaticFilesStorage", {"hosts": HOSTS}, "STATIC_ROOT is not set"),
    ("E002", DISTRIBUTED, {}, "no hosts"),
    ("E002", ASYNC, {"hosts": []}, "no hosts"),
    ("E003", DISTRIBUTED, {"hosts": "media-1"}, "hosts must be a list"),
    ("E003", DISTRIBUTED, {"hosts": ["media-1", None]}, "has no address"),
    ("E003", DISTRIBUTED, {"hosts": ["http://media-1/?query"]}, "query or fragment"),
    ("E003", DISTRIBUTED, {"hosts": ["http://media-1/#fragment"]}, "query or fragment"),
    ("E003", DISTRIBUTED, {"hosts": ["http://user:secret@media-1/"]}, "user information"),
    ("E003", DISTRIBUTED, {"hosts": ["ftp://media-1/"]}, "must start with http"),
    ("E003", DISTRIBUTED, {"hosts": ["media-1:99999"]}, "not a URL"),
    ("E003", DISTRIBUTED, {"hosts": HOSTS, "base_url": "/media/?query"}, "base_url"),
    ("E003", DISTRIBUTED, {"hosts": HOSTS, "base_url": "http://[media/"}, "base_url"),
    ("E004", DISTRIBUTED, {"hosts": ["media-1", "media-1"]}, "are the same"),
    ("E004", HYBRID, {"hosts": ["media-1", "http://MEDIA-1:80/media"]}, "are the same"),
    ("E004", HYBRID, {"hosts": ["media-1", {"url": "media-1", "timeout": 3}]}, "are the same"),
    ("E004", HYBRID, {"hosts": ["http://media-1/a/b/", "http://media-1/a/"]}, "'http://media-1/a/b/' lies in"),
    ("E004", DISTRIBUTED, {"hosts": ["file:///srv/a/", "file:///srv/a/b"], "transport": "directory"}, "lies in"),
    ("E005", DISTRIBUTED, {"hosts": HOSTS, "timeout": 0}, "timeout must be a positive number"),
    ("E005", DISTRIBUTED, {"hosts": HOSTS, "timeout": "2"}, "timeout must be a positive number"),
    ("E005", DISTRIBUTED, {"hosts": [{"url": "media-1", "timeout": -1}]}, "timeout must be a positive number"),
    ("E006", DISTRIBUTED, {"hosts": HOSTS, "transport": "ftp"}, "no transport named 'ftp'"),
    ("E006", DISTRIBUTED, {"hosts": HOSTS, "transport": "missing.Transport"}, "cannot be imported"),
    ("E006", DISTRIBUTED, {"hosts": HOSTS, "transport": InlineExecutor}, "not a subclass"),
    ("E007", DISTRIBUTED, {"hosts": HOSTS, "executor": "gevent"}, "no executor named 'gevent'"),
    ("E007", DISTRIBUTED, {"hosts": HOSTS, "executor": HttpTransport}, "not a subclass"),
    ("E007", DISTRIBUTED, {"hosts": HOSTS, "executor_options": {"threads": 3}}, "wrong executor_options"),
    ("E008", DISTRIBUTED, {"hosts": HOSTS, "transport_options": {"aut": "media"}}, "wrong transport_options"),
    ("E008", DISTRIBUTED, {"hosts": HOSTS, "transport_options": ["auth"]}, "must be a mapping"),
    (
        "E008",
        DISTRIBUTED,
        {"hosts": HOSTS, "transport_options": {"auth": "media"}},
        "no credential of the name that is given as 'auth'",
    ),
    (
        "E008",
        DISTRIBUTED,
        {"hosts": ["media-2", {"url": "media-1", "aut": "media"}], "transport": "http"},
        "host 'media-1': wrong transport_options: HttpTransport has no option aut; it has timeout, auth, auth_scheme, ca_bundle, "
        "client_cert, session, max_listing, max_download",
    ),
    ("E008", DISTRIBUTED, {"hosts": [{"url": "media-1", "publsh": "put"}]}, "it has timeout, publish, auth, "),
    ("E003", DISTRIBUTED, {"hosts": [{"ulr": "media-1"}]}, "a host with the keys ulr has no address"),
    ("E003", DISTRIBUTED, {"hosts": [{"url": 5, "timeout": 1}]}, "the url of a host must be a string, not int"),
    ("E003", DISTRIBUTED, {"hosts": ["2001:db8::1"]}, "an IPv6 address stands in brackets"),
    ("E003", DISTRIBUTED, {"hosts": ["https://2001:db8::1:8443/media/"]}, "an IPv6 address stands in brackets"),
    (
        "E008",
        DISTRIBUTED,
        {"hosts": [{"url": "media-1", "auth": "media"}]},
        "no credential of the name that is given as 'auth'",
    ),
    ("E009", DISTRIBUTED, {"hosts": HOSTS, "executor": QueueExecutor}, "waits for its hosts"),
    ("E009", HYBRID, {"hosts": HOSTS, "executor": QueueExecutor}, "waits for its hosts"),
]


@pytest.mark.parametrize(("code", "backend", "options", "problem"), WRONG)
def test_error(check, code, backend, options, problem):
    """It has its code, names the storage, and comes with a hint."""
    [message] = check(backend, **options)
    assert (message.id, message.level) == (f"resto.{code}", checks.ERROR)
    assert message.msg.startswith("STORAGES['media']: ")
    assert problem in message.msg
    assert message.hint
    assert "secret" not in message.msg + message.hint


@pytest.mark.parametrize("options", [{}, {"location": ""}])
@pytest.mark.parametrize("backend", [HYBRID, ASYNC])
def test_working_directory_is_no_master_copy(check, settings, backend, options):
    settings.MEDIA_ROOT = ""
    [message] = check(backend, hosts=HOSTS, **options)
    assert (message.id, message.level) == ("resto.E017", checks.ERROR)
    assert message.msg == "STORAGES['media']: MEDIA_ROOT is not set"
    assert "location" in message.hint
    assert check(backend, hosts=HOSTS, location="media") == []
    assert check(DISTRIBUTED, hosts=HOSTS) == []


LITERALS = [
    {"hosts": HTTPS, "transport_options": {"auth": ("user", "secret")}},
    {"hosts": HTTPS, "transport_options": {"auth": {"X-Token": "secret"}}},
    {"hosts": ["media-1", {"url": "https://media-2/", "auth": ("user", "secret")}]},
]


@pytest.mark.parametrize("options", LITERALS)
def test_literal_credential(check, options):
    [message] = check(HYBRID, **options)
    assert (message.id, message.level) == ("resto.W001", checks.WARNING)
    assert "RESTO_SECRETS" in message.hint
    assert "secret" not in str(message)


def test_literal_credential_of_a_queue(check):
    [message] = check(ASYNC, hosts=HOSTS, executor="rq", executor_options={"url": "redis://:secret@localhost/0"})
    assert message.id == "resto.W001"
    assert "'url'" in message.hint
    assert "secret" not in str(message)


@pytest.mark.usefixtures("without_application")
def test_distributed_without_exceptions(check):
    [message] = check(DISTRIBUTED, hosts=HOSTS, fatal_exceptions=False)
    assert (message.id, message.level) == ("resto.W002", checks.WARNING)
    assert "files can be lost without an exception" in message.msg
    assert "HybridStorage" in message.hint


@pytest.mark.usefixtures("without_application")
def test_distributed_without_exceptions_by_setting(check, settings):
    settings.RESTO_FATAL_EXCEPTIONS = False
    assert [message.id for message in check(DISTRIBUTED, hosts=HOSTS)] == ["resto.W002"]


@pytest.mark.usefixtures("without_application")
def test_distributed_with_a_quorum(check):
    [message] = check(DISTRIBUTED, hosts=[*HOSTS, "media-3"], write_quorum="majority")
    assert "a save succeeds that only 2 of 3 hosts have stored" in message.msg
    assert check(DISTRIBUTED, hosts=HOSTS, fatal_exceptions=False, write_quorum="all") == []


@pytest.mark.parametrize("options", [{"fatal_exceptions": False}, {"write_quorum": 1}])
def test_distributed_with_a_record(check, options):
    assert check(DISTRIBUTED, hosts=HOSTS, **options) == []


def test_storage_that_is_not_recorded(check_field, settings):
    settings.STORAGES = settings.STORAGES | {"media": {"BACKEND": HYBRID, "OPTIONS": {"hosts": HOSTS}}}
    outside = HybridStorage(HOSTS, location="/elsewhere")
    [message] = check_field(models.FileField(storage=outside), models.FileField(storage=lambda: storages["media"]))
    assert (message.id, message.level) == ("resto.W005", checks.WARNING)
    assert message.msg.endswith("file_0: what its hosts miss is not recorded, and nothing sends it later")
    assert "STORAGES" in message.hint


@pytest.mark.usefixtures("without_application")
def test_nothing_is_recorded_without_the_application(check_field):
    assert check_field(models.FileField(storage=HybridStorage(HOSTS))) == []


class ExitingStorage(DistributedStorage):
    def __init__(self):
        raise SystemExit(1)


class InterruptedStorage(DistributedStorage):
    def __init__(self):
        raise KeyboardInterrupt


def test_storage_that_wants_to_end_the_command_is_reported(check):
    [message] = check(f"{__name__}.ExitingStorage")
    assert message.id == "resto.E001"


def test_checks_can_be_interrupted(check):
    with pytest.raises(KeyboardInterrupt):
        check(f"{__name__}.InterruptedStorage")


def test_broken_plugin(install):
    install("resto-broken", "raise RuntimeError('not today')")
    [message] = run()
    assert (message.id, message.level) == ("resto.W003", checks.WARNING)
    assert message.msg == "plugin resto_broken of resto-broken 1.0 failed to load: RuntimeError('not today')"
    assert message.hint


def test_conflict_of_plugins(install):
    source = """
        from resto import hookimpl

        @hookimpl
        def resto_register_transports():
            return {"http": "resto_greedy.Transport"}
    """
    install("resto-greedy", source)
    [message] = run()
    assert (message.id, message.level) == ("resto.E010", checks.ERROR)
    assert "claimed by resto.transports and by resto_greedy of resto-greedy 1.0" in message.msg
    assert message.hint == "Uninstall one of them."


def test_several_problems_are_told_at_once(check):
    messages = check(DISTRIBUTED, hosts=[], timeout=-1, transport="ftp", executor="gevent", fatal_exceptions=False)
    codes = ["resto.E002", "resto.E005", "resto.E006", "resto.E007"]
    assert sorted(message.id for message in messages) == codes


def test_wrong_storage_does_not_hide_another(settings):
    settings.STORAGES = {
        "one": {"BACKEND": DISTRIBUTED, "OPTIONS": {"hots": HOSTS}},
        "two": {"BACKEND": f"{__name__}.RaisingStorage"},
        "three": {"BACKEND": DISTRIBUTED, "OPTIONS": {"hosts": []}},
    }
    assert [message.msg.partition(":")[0] for message in run()] == [
        "STORAGES['one']",
        "STORAGES['two']",
        "STORAGES['three']",
    ]


@pytest.mark.parametrize(
    "parameters",
    [{"BACKEND": "missing.Storage"}, {"BACKEND": f"{__name__}.RUN"}, {"BACKEND": ".x"}, {"BACKEND": None}, {}, None, 5],
    ids=repr,
)
def test_storage_that_is_not_ours_is_left_to_django(settings, parameters):
    settings.STORAGES = settings.STORAGES | {"media": parameters}
    assert check_storages(None) == []


@pytest.mark.parametrize("storage_class", [DistributedStorage, HybridStorage, AsyncStorage])
def test_storage_of_a_field(check_field, storage_class):
    [message] = check_field(models.FileField(storage=storage_class(hosts=["ftp://media-1/"])))
    assert message.id == "resto.E003"
    assert message.msg.startswith("auth.Attachment.file_0: ")


def test_storage_of_an_image_field(check_field):
    assert [message.id for message in check_field(models.ImageField(storage=DistributedStorage()))] == ["resto.E002"]


def test_callable_storage_of_a_field(check_field):
    [message] = check_field(models.FileField(storage=DistributedStorage))
    assert message.id == "resto.E002"


def test_storage_of_a_field_that_no_worker_would_find(check_field):
    [message] = check_field(models.FileField(storage=AsyncStorage(HOSTS, executor=ListExecutor)))
    assert (message.id, message.level) == ("resto.E011", checks.ERROR)
    assert "workers find them by alias" in message.msg
    assert "storages[alias]" in message.hint


def test_sound_storage_of_a_field(check_field, settings):
    settings.STORAGES = settings.STORAGES | {"media": {"BACKEND": DISTRIBUTED, "OPTIONS": {"hosts": HOSTS}}}
    assert check_field(models.FileField(storage=lambda: storages["media"]), models.TextField()) == []


def test_storage_shared_by_fields_is_reported_once(check_field):
    storage = DistributedStorage()
    assert len(check_field(models.FileField(storage=storage), models.FileField(storage=storage))) == 1


def test_storage_of_storages_in_a_field_is_reported_once(check_field, settings):
    settings.STORAGES = settings.STORAGES | {"media": {"BACKEND": DISTRIBUTED}}
    [message] = check_field(models.FileField(storage=storages["media"]))
    assert message.msg.startswith("STORAGES['media']")


@pytest.mark.parametrize("storage", [default_storage, DefaultStorage()], ids=["shared", "own"])
def test_default_storage_in_a_field_is_reported_once(check_field, settings, storage):
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": DISTRIBUTED}}
    [message] = check_field(models.FileField(storage=storage))
    assert (message.id, message.msg[:19]) == ("resto.E002", "STORAGES['default']")


def test_default_storage_that_cannot_be_made(check_field, settings):
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": DISTRIBUTED, "OPTIONS": {"hots": HOSTS}}}
    assert [message.id for message in check_field(models.FileField())] == ["resto.E001"]


def test_field_of_another_storage(check_field):
    assert check_field(models.FileField(storage=FileSystemStorage()), models.FileField()) == []


def test_only_the_applications_asked_for_are_checked(check_field):
    """As for `manage.py check auth`."""
    check_field(models.FileField(storage=DistributedStorage()))
    assert check_storages([apps.get_app_config("resto")]) == []


def test_nothing_is_sent(check):
    """Hosts that listen get no connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        for backend in (DISTRIBUTED, HYBRID, ASYNC):
            for transport in ("http", "webdav"):
                codes = [message.id for message in check(backend, hosts=[address], transport=transport)]
                assert codes == (["resto.W012"] if (backend, transport) == (DISTRIBUTED, "http") else [])
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_record_is_in_no_database(settings):
    settings.RESTO_DATABASE = "recrod"
    [message] = check_record(None)
    assert (message.id, message.level) == ("resto.E013", checks.ERROR)
    assert "default" in message.hint


@pytest.mark.parametrize(("lease", "grace"), [(60, 60), (30, 60), ("300", 60), (300, None), (300, 0)])
def test_times_of_the_record(settings, lease, grace):
    settings.RESTO_LEASE, settings.RESTO_GRACE = lease, grace
    [message] = check_record(None)
    assert (message.id, message.level) == ("resto.E014", checks.ERROR)
    assert repr(lease) in message.msg


def test_record_in_the_transactions_of_sqlite(monkeypatch):
    """Only PostgreSQL and the like let a second connection write at the same time."""
    assert check_record(None) == []
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    [message] = check_record(None)
    assert (message.id, message.level) == ("resto.W004", checks.WARNING)
    assert "RESTO_DATABASE" in message.hint
    monkeypatch.setattr(connection, "vendor", "postgresql")
    assert check_record(None) == []


IN_CLEAR = [
    ({"auth": "basic"}, True),
    ({"auth": "bearer"}, True),
    ({"auth": "header"}, True),
    ({"auth": "object"}, True),
    ({"auth": "basic", "auth_scheme": "digest"}, False),
    ({}, False),
]


@pytest.mark.parametrize("transport", ["http", "webdav"])
@pytest.mark.parametrize(("options", "exposed"), IN_CLEAR)
def test_credential_in_clear(check, settings, options, exposed, transport):
    settings.RESTO_SECRETS = {
        "basic": ("user", "hunter2"),
        "bearer": "hunter2",
        "header": {"X-Key": "hunter2"},
        "object": HTTPBasicAuth("user", "hunter2"),
    }
    hosts = ["http://media-1/", "media-2:8080", "https://media-3/", "http://127.0.0.1:8080/", "http://localhost/"]
    messages = check(HYBRID, hosts=hosts, transport=transport, transport_options=options)
    assert [message.id for message in messages] == ["resto.W007"] * exposed
    for message in messages:
        assert message.level == checks.WARNING
        assert message.msg.startswith(
            "STORAGES['media']: whoever sees requests to http://media-1/, media-2:8080 learns"
        )
        assert "https://" in message.hint
        assert "hunter2" not in str(message)


def test_only_the_host_that_has_the_credential_is_named(check, settings):
    settings.RESTO_SECRETS = {"one": ("user", "hunter2"), "two": ("user", "hunter2")}
    hosts = [{"url": "media-1", "auth": "one"}, {"url": "https://media-2/", "auth": "two"}, "media-3"]
    [message] = check(HYBRID, hosts=hosts)
    assert "requests to media-1 learns" in message.msg


def test_scheme_of_a_host_may_be_that_of_the_base_url(check, settings):
    settings.RESTO_SECRETS = {"media": ("user", "hunter2")}
    options = {"hosts": HOSTS, "transport_options": {"auth": "media"}}
    assert [message.id for message in check(HYBRID, **options)] == ["resto.W007"]
    assert check(HYBRID, base_url="https://media.example.com/", **options) == []


def test_old_name_of_the_secrets(settings):
    assert check_secrets(None) == []
    settings.RESTO_CREDENTIALS = {"media": ("user", "hunter2")}
    [message] = run()
    assert (message.id, message.level) == ("resto.W006", checks.WARNING)
    assert "RESTO_CREDENTIALS is shown by Django" in message.msg
    assert "RESTO_SECRETS" in message.hint
    assert "hunter2" not in str(message)


@pytest.mark.parametrize("name", ["RESTO_SECRETS", "RESTO_CREDENTIALS"])
def test_secrets_without_names(check, settings, name):
    setattr(settings, name, ("user", "hunter2"))
    found = [message for message in check_secrets(None) if message.id != "resto.W006"]
    assert [(message.id, message.level) for message in found] == [("resto.E018", checks.ERROR)]
    assert found[0].msg == f"{name} is no mapping"
    of_storage = check(HYBRID, hosts=HOSTS, transport_options={"auth": "media"})
    assert {message.id for message in of_storage if message.level == checks.ERROR} == {"resto.E018"}
    assert "hunter2" not in str(of_storage + found)


# The directory of a master copy.


@pytest.fixture
def check_hybrid(check, tmp_path, monkeypatch):
    """Check a storage as on a site, not as in a test, where identities are in memory."""
    monkeypatch.setattr(database, "is_under_test", lambda: False)

    def check_storage(location="media", hosts=HTTPS, kind=HYBRID):
        return check(kind, hosts=hosts, location=str(tmp_path / location))

    return check_storage


@pytest.mark.django_db
def test_directory_that_is_not_the_master_copy(check_hybrid, tmp_path):
    assert check_hybrid() == []
    identities.put("media", identities.MASTER, "id", "mark")
    [message] = check_hybrid()
    assert (message.id, message.level) == ("resto.W008", checks.WARNING)
    assert message.msg == f"STORAGES['media']: {tmp_path}/media is not the master copy: it has no file .resto.master"
    assert "Is it mounted?" in message.hint


def test_record_that_cannot_be_read_is_no_error_of_the_settings(check_hybrid):
    """This test may not use the database."""
    assert check_hybrid() == []


@pytest.mark.django_db
def test_file_system_whose_links_replace_files(check_hybrid, tmp_path, monkeypatch):
    (tmp_path / "media").mkdir()
    assert check_hybrid() == []
    monkeypatch.setattr(os, "link", lambda *args, **kwargs: None)
    [message] = check_hybrid()
    assert message.id == "resto.E020"
    assert f"the file system of {tmp_path}/media lets a link replace a file" in message.msg
    assert list((tmp_path / "media").iterdir()) == []


@pytest.mark.parametrize("other", [HTTPS, HTTPS[:1]])
def test_directory_of_two_storages(check_hybrid, settings, tmp_path, other):
    options = {"hosts": other, "location": str(tmp_path / "media")}
    settings.STORAGES = settings.STORAGES | {"later": {"BACKEND": ASYNC, "OPTIONS": options}}
    messages = check_hybrid()
    assert [message.id for message in messages] == ([] if other == HTTPS else ["resto.E021"] * 2)
    for message in messages:
        assert f"keeps its files in {tmp_path}/media, too, and has other hosts" in message.msg


@pytest.mark.parametrize("backend", [HYBRID, ASYNC])
def test_no_hosts_on_purpose(check, settings, backend):
    settings.DEBUG = False
    [message] = check(backend, hosts="none")
    assert (message.id, message.level) == ("resto.W009", checks.WARNING)
    assert message.msg == "STORAGES['media']: hosts is 'none': files are kept in the master copy only, and sent nowhere"
    settings.DEBUG = True
    assert check(backend, hosts="none") == []


def test_no_hosts_in_the_tests_of_a_developer(check, settings, monkeypatch):
    """Django turns DEBUG off there, and its runner checks after that."""
    monkeypatch.setattr(_TestState.saved_data, "debug", True)
    assert settings.DEBUG is False
    assert check(HYBRID, hosts="none") == []


def test_no_hosts_where_some_are_needed(check, settings):
    settings.DEBUG = True
    [message] = check(DISTRIBUTED, hosts="none")
    assert (message.id, message.level) == ("resto.E002", checks.ERROR)
    assert "DistributedStorage keeps files on hosts only" in message.msg


@pytest.mark.parametrize("kind", [DISTRIBUTED, HYBRID, ASYNC])
@pytest.mark.parametrize("url", ["", "/"])
def test_files_below_the_root_of_the_site(check, settings, kind, url):
    settings.MEDIA_URL = url
    [message] = check(kind, hosts=HTTPS)
    assert (message.id, message.level) == ("resto.W011", checks.WARNING)
    assert "MEDIA_URL" in message.msg
    assert check(kind, hosts=HTTPS, base_url="/media/") == []


def test_distributed_with_a_transport_that_cannot_list(check):
    hosts = ["media-1", "media-2"]
    [message] = check(DISTRIBUTED, hosts=hosts, transport="http")
    assert (message.id, message.level) == ("resto.W012", checks.WARNING)
    assert "HttpTransport cannot list the files of media-1, media-2" in message.msg
    assert "'webdav'" in message.hint
    assert check(HYBRID, hosts=hosts, transport="http") == []


@pytest.mark.parametrize(
    ("hosts", "is_one"),
    [
        (["http://127.0.0.1:8080/", "http://localhost:8080/"], True),
        (["127.0.0.1:8080", "http://[::1]:8080/media/"], True),
        (["http://127.0.0.1:8080/", "http://127.0.0.1:8081/"], False),
        (["http://127.0.0.1:8080/a/", "http://localhost:8080/b/"], False),
        (["http://media-1/", "http://media-2/"], False),
    ],
)
def test_two_names_of_this_machine(check, hosts, is_one):
    messages = check(HYBRID, hosts=hosts)
    assert [(message.id, message.level) for message in messages] == [("resto.W014", checks.WARNING)] * is_one
    assert all(f"{hosts[0]} and {hosts[1]} seem to be one server" in message.msg for message in messages)


@pytest.mark.parametrize("kind", [HYBRID, ASYNC])
@pytest.mark.parametrize(("below", "what"), [("", "the directory"), ("/media", "a parent of the directory")])
def test_master_copy_that_is_a_file(check, tmp_path, kind, below, what):
    (tmp_path / "file").touch()
    [message] = check(kind, hosts=HOSTS, location=f"{tmp_path}/file{below}")
    assert (message.id, message.level) == ("resto.E024", checks.ERROR)
    assert message.msg == f"STORAGES['media']: {tmp_path}/file is a file, and should be {what} of the master copy"
    with pytest.raises(ConfigurationError, match="is a file"):
        storages["media"].save("a", ContentFile(b"content"))


def test_codes_are_unique():
    """Each code that `checks` gives a message of its own stands there once; those of other modules have their table."""
    sources = "".join(inspect.getsource(module) for module in (checks_module, site_checks))
    codes = re.findall(r'id="resto\.([EW]\d{3})"', sources)
    assert sorted(codes) == [
        "E001",
        "E010",
        "E013",
        "E014",
        "E018",
        "E021",
        "E023",
        "E025",
        "E026",
        "E028",
        "E029",
        "E033",
        "W001",
        "W002",
        "W003",
        "W004",
        "W005",
        "W006",
        "W007",
        "W008",
        "W009",
        "W010",
        "W011",
        "W012",
        "W014",
        "W015",
        "W016",
        "W017",
        "W018",
        "W019",
        "W020",
    ]


def test_codes_are_tested():
    """A new code comes with a test."""
    sources = [path.read_text() for path in Path(resto.__file__).parent.rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r'"(?:resto\.)?([EW]\d{3})"', source)}
    tested = {code for code, *_ in WRONG} | {
        "E010",
        "E011",
        "E012",
        "E013",
        "E014",
        "E017",
        "E018",
        "E019",
        "E020",
        "E021",
        "E022",
        "E023",
        "E024",
        "E025",
        "E026",
        "E027",
        "E028",
        "E029",
        "E031",
        "E032",
        "E033",
        "W004",
        "W001",
        "W002",
        "W003",
        "W005",
        "W006",
        "W007",
        "W008",
        "W009",
        "W010",
        "W011",
        "W012",
        "W013",
        "W014",
        "W015",
        "W016",
        "W017",
        "W018",
        "W019",
        "W020",
    }
    assert codes == tested

"""What `manage.py check` says of settings as a whole."""

import pytest
from django.core import checks
from django.core.files.storage import FileSystemStorage

from kit.checking import run
from resto.storage import HybridStorage


pytest_plugins = ["kit.packages"]

DISTRIBUTED, HYBRID, ASYNC = (f"resto.storage.{name}Storage" for name in ("Distributed", "Hybrid", "Async"))
STATIC = "resto.staticfiles.StaticFilesStorage"
HOSTS = ["http://media-1/media/", "http://media-2/media/"]


@pytest.fixture(autouse=True)
def _listing(settings):
    """The default transport cannot list, of which a check warns that has a test of its own."""
    settings.RESTO_TRANSPORT = "webdav"


@pytest.fixture
def check(settings):
    """Check one storage of STORAGES."""

    def check_storage(backend, **options):
        settings.STORAGES = settings.STORAGES | {"media": {"BACKEND": backend, "OPTIONS": options}}
        return run()

    return check_storage


@pytest.fixture
def check_two(settings, tmp_path):
    """Check two storages, with these options."""

    def check_storages(first, second, kinds=(HYBRID, HYBRID)):
        settings.STATIC_URL = "/static/"
        options = [dict(one) for one in (first, second)]
        for one in options:
            if "location" in one:
                one["location"] = str(tmp_path / one["location"])
        settings.STORAGES = {
            alias: {"BACKEND": kind, "OPTIONS": one}
            for alias, kind, one in zip(("first", "second"), kinds, options, strict=True)
        }
        return run()

    return check_storages


# What no storage can be made of.


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ([HYBRID], "it is of type list, and must be a mapping"),
        (None, "it is of type NoneType, and must be a mapping"),
        ({}, "it has no BACKEND"),
        ({"BACKEND": 3}, "its BACKEND is of type int, and must be the path of a class, in a string"),
    ],
)
def test_entry_that_is_no_storage(settings, entry, problem):
    settings.STORAGES = {"media": entry}
    [message] = run()
    assert (message.id, message.level) == ("resto.E033", checks.ERROR)
    assert message.msg == f"STORAGES['media']: {problem}"
    assert message.hint.startswith("Write STORAGES as {alias: {'BACKEND': 'path.of.a.Class'")


@pytest.mark.parametrize(
    ("backend", "path"),
    [
        (HybridStorage, "resto.storage.HybridStorage"),
        (FileSystemStorage, "django.core.files.storage.filesystem.FileSystemStorage"),
    ],
)
def test_backend_that_is_a_class(check, backend, path):
    [message] = check(backend, hosts=HOSTS)
    problem = f"its BACKEND is the class {backend.__name__}, and must be its dotted path, in a string"
    assert (message.id, message.msg) == ("resto.E033", f"STORAGES['media']: {problem}")
    assert message.hint == f"Write {{'BACKEND': {path!r}}}."


@pytest.mark.parametrize("backend", ["resto.storage.ReplicatedStorage", "resto.storage.located.LocatedStorage"])
def test_backend_that_is_a_base_class(check, backend):
    [message] = check(backend, hosts=HOSTS)
    problem = f"its BACKEND {backend!r} is the base class of storages, and none itself"
    assert (message.id, message.msg) == ("resto.E023", f"STORAGES['media']: {problem}")


def test_storages_that_are_no_mapping(settings):
    settings.STORAGES = [HYBRID]
    [message] = run()
    assert (message.id, message.msg) == ("resto.E033", "STORAGES: it is of type list, and must be a mapping")
    settings.STORAGES = {1: {"BACKEND": HYBRID}}
    [message] = run()
    assert message.msg == "STORAGES[1]: its alias is of type int, and must be a string"


def test_backend_of_others_that_cannot_be_imported(settings):
    settings.STORAGES = {"media": {"BACKEND": "no.such.Storage"}}
    [message] = run()
    assert (message.id, message.level) == ("resto.W020", checks.WARNING)
    assert message.msg.startswith("STORAGES['media']: its BACKEND 'no.such.Storage' cannot be imported: Module")


# Names that are mistyped.


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RESTO_FATAL_EXCEPTION", "Did you mean 'RESTO_FATAL_EXCEPTIONS'?"),
        ("RESTO_MEDIAHOSTS", "Did you mean 'RESTO_MEDIA_HOSTS'?"),
        ("RESTO_X", "It has RESTO_CREDENTIALS, RESTO_DATABASE, "),
    ],
)
def test_setting_that_nobody_reads(settings, name, hint):
    setattr(settings, name, False)
    [message] = run()
    assert (message.id, message.level) == ("resto.W010", checks.WARNING)
    assert message.msg == f"resto has no setting {name}, and reads it nowhere"
    assert message.hint.startswith(hint)


def test_setting_of_a_plugin(install, settings):
    source = """
        from resto import hookimpl

        @hookimpl
        def resto_settings():
            return ["RESTO_METRICS_PORT"]
    """
    install("resto-metrics", source)
    settings.RESTO_METRICS_PORT = 8_000
    assert run() == []
    settings.RESTO_METRICS_PROT = 8_000
    [message] = run()
    assert message.hint == "Did you mean 'RESTO_METRICS_PORT'?"


def test_plugin_that_cannot_name_its_settings(install, settings):
    source = """
        from resto import hookimpl

        @hookimpl
        def resto_settings():
            raise RuntimeError("not today")
    """
    install("resto-raising", source)
    settings.RESTO_METRICS_PORT = 8_000
    found = run()
    assert sorted(message.id for message in found) == ["resto.W003", "resto.W010"]


@pytest.mark.parametrize(
    ("backend", "problem", "hint"),
    [
        (
            "resto.storage.HybridStorge",
            "cannot be imported: ImportError",
            "Did you mean 'resto.storage.HybridStorage'?",
        ),
        ("restro.storage.HybridStorage", "ModuleNotFoundError", "Did you mean 'resto.storage.HybridStorage'?"),
        ("resto.staticfiles.StaticStorage", "ImportError", "Did you mean 'resto.staticfiles.StaticFilesStorage'?"),
        ("resto.storage", "'resto.storage' is no class", "Did you mean 'resto."),
        ("resto.x", "cannot be imported", "Those of resto are resto.storage.HybridStorage, "),
    ],
)
def test_backend_that_is_mistyped(check, backend, problem, hint):
    [message] = check(backend, hosts=HOSTS)
    assert (message.id, message.level) == ("resto.E023", checks.ERROR)
    assert message.msg.startswith(f"STORAGES['media']: its BACKEND {backend!r} ")
    assert problem in message.msg
    assert message.hint.startswith(hint)


# What storages have in common.

BOTH = {"hosts": HOSTS, "location": "media"}
ELSEWHERE = BOTH | {"location": "elsewhere"}
ONLY_HOSTS = {"hosts": HOSTS}


@pytest.mark.parametrize(
    ("first", "second", "kinds", "says"),
    [
        (BOTH, BOTH, (HYBRID, ASYNC), None),
        (BOTH, ELSEWHERE | {"hosts": ["http://media-1/other/"]}, (HYBRID, HYBRID), None),
        (BOTH, ELSEWHERE | {"hosts": ["http://media-1/media-of-others/"]}, (HYBRID, STATIC), None),
        (
            BOTH,
            ELSEWHERE,
            (HYBRID, HYBRID),
            "'second'] has http://media-1/media/, http://media-2/media/, as STORAGES['first'] has, whose",
        ),
        (BOTH, ELSEWHERE, (HYBRID, STATIC), "'second'] has http://media-1/media/, http://media-2/media/, as STORAGES"),
        (
            BOTH,
            ONLY_HOSTS,
            (HYBRID, DISTRIBUTED),
            "'second'] has http://media-1/media/, http://media-2/media/, as STORAGES",
        ),
        (ONLY_HOSTS, ONLY_HOSTS | {"timeout": 3}, (DISTRIBUTED, DISTRIBUTED), "'second'] has http://media-1/media/, "),
        (
            BOTH,
            ELSEWHERE | {"hosts": ["MEDIA-1:80"], "base_url": "/media/"},
            (HYBRID, HYBRID),
            "'second'] has MEDIA-1:80, as STORAGES",
        ),
    ],
)
def test_hosts_of_two_storages(check_two, first, second, kinds, says):
    found = check_two(first, second, kinds)
    assert [(message.id, message.level) for message in found] == [("resto.E025", checks.ERROR)] * (says is not None)
    for message in found:
        assert f"STORAGES[{says}" in message.msg
        assert "with the option 'hosts': RESTO_MEDIA_HOSTS holds for all storages." in message.hint


@pytest.mark.parametrize(
    ("first", "second", "kinds", "inner"),
    [
        (BOTH, ELSEWHERE | {"hosts": [f"{HOSTS[0]}private/"]}, (HYBRID, HYBRID), "second"),
        (ELSEWHERE | {"hosts": [f"{host}private/" for host in HOSTS]}, BOTH, (STATIC, HYBRID), "first"),
        (ELSEWHERE | {"hosts": [f"{HOSTS[0]}private/"]}, ONLY_HOSTS, (HYBRID, DISTRIBUTED), "first"),
    ],
    ids=["second", "first", "distributed"],
)
def test_host_in_a_host_of_another_storage(check_two, first, second, kinds, inner):
    [message] = check_two(first, second, kinds)
    outer = "second" if inner == "first" else "first"
    assert (message.id, message.level) == ("resto.W016", checks.WARNING)
    assert message.msg == (
        f"STORAGES[{inner!r}] has {HOSTS[0]}private/, which lies in {HOSTS[0]} of STORAGES[{outer!r}]: that one can have no files "
        "in 'private'"
    )


def test_storage_under_two_names_shares_nothing(check_two):
    assert check_two(ONLY_HOSTS, ONLY_HOSTS, (DISTRIBUTED, DISTRIBUTED)) == []


def test_hosts_that_tests_have_put_in_their_place_are_no_matter(check_two, resto_hosts):
    assert check_two(BOTH | {"hosts": "none"}, ELSEWHERE | {"hosts": "none"}) == []


@pytest.mark.parametrize("inner", ["media/private", "media/a/b", "link"])
def test_directory_inside_of_another(check_two, tmp_path, inner):
    (tmp_path / "media" / "linked").mkdir(parents=True)
    (tmp_path / "link").symlink_to("media/linked")
    [message] = check_two(BOTH, {"hosts": ["http://media-3/"], "location": inner})
    assert (message.id, message.level) == ("resto.E026", checks.ERROR)
    path = (tmp_path / inner).resolve()
    assert message.msg.startswith(
        f"STORAGES['second'] keeps its files in {path}, inside of the directory of STORAGES['first']"
    )
    assert message.hint == "Give STORAGES['second'] a directory elsewhere, with the option 'location'."


def test_directory_beside_another(check_two):
    assert check_two(BOTH, {"hosts": ["http://media-3/"], "location": "media-of-others"}) == []


# Directories of hosts on this machine.


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("NEAR", ["/srv/media"], "RESTO_NEAR must be a mapping, not of type list"),
        ("NEAR", {"http://media-1/media/": "media"}, "RESTO_NEAR maps 'http://media-1/media/' to 'media'"),
        ("NEAR", {"http://media-1/media/": None}, "RESTO_NEAR maps 'http://media-1/media/' to None"),
        ("NEAR", {"http://media-1/media/": "/a\0"}, r"RESTO_NEAR maps 'http://media-1/media/' to '/a\x00'"),
        ("NEAR", {7: "/srv/media"}, "RESTO_NEAR maps 7 to '/srv/media'"),
        ("NEAR_LAG", -1, "RESTO_NEAR_LAG is -1"),
        ("NEAR_LAG", True, "RESTO_NEAR_LAG is True"),
        ("NEAR_LAG", float("inf"), "RESTO_NEAR_LAG is inf"),
        ("NEAR_LAG", "1", "RESTO_NEAR_LAG is '1'"),
    ],
)
def test_wrong_setting_of_what_is_near(settings, name, value, problem):
    setattr(settings, f"RESTO_{name}", value)
    assert [(message.id, message.msg) for message in run() if "NEAR" in message.msg] == [("resto.E029", problem)]


def near_warnings(messages):
    return [(message.msg, message.level) for message in messages if message.id == "resto.W018"]


@pytest.mark.parametrize(("kind", "url"), [(DISTRIBUTED, "http://other/media/"), (HYBRID, "ftp://media-1/media/")])
def test_near_directory_of_no_host(check, settings, tmp_path, kind, url):
    settings.RESTO_NEAR = {url: tmp_path}
    [(message, level)] = near_warnings(check(kind, hosts=HOSTS))
    assert level == checks.WARNING
    assert message == f"RESTO_NEAR: no storage has the host {url!r}, so that files are read over the network"


@pytest.mark.django_db
def test_near_directory_that_has_proven_nothing(check, settings, tmp_path):
    settings.RESTO_NEAR = {HOSTS[0]: tmp_path}
    [(message, _)] = near_warnings(check(DISTRIBUTED, hosts=HOSTS))
    assert f"{tmp_path} has not the file .resto.host by which the record knows {HOSTS[0]}" in message
    assert near_warnings(check(HYBRID, hosts=HOSTS)) == []

"""Two storages of a site with the same hosts, or with one directory in the other: neither touches the files of the other one."""

from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from kit.recognized import problems, save
from kit.record import files
from resto.exceptions import ConfigurationError, ReplicationError
from resto.models import Pending
from resto.names import HOST_IDENTITY
from resto.repair.drain import drain
from resto.repair.restore import RestoreOptions, restore
from resto.repair.sync import SyncOptions, synchronize
from resto.storage.adopting import adopt
from resto.storage.sharing import shared_hosts


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("identities_apply")]

THEIRS = (
    r"has the files of STORAGES\['default'\] \(Give STORAGES\['other'\] hosts, or a folder on each host, of its own"
)


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def site(begin, settings, servers, tmp_path):
    """A function: how the other storage is -> it, beside the default one, which has begun."""

    def make(kind="Hybrid", location="other", hosts=None, first="Hybrid", own=None):
        begin(first, own)
        options = {"transport": "webdav", "hosts": [server.url for server in servers] if hosts is None else hosts}
        if kind != "Distributed":
            options |= {"location": str(tmp_path / location)}
        settings.STORAGES |= {"other": {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}}
        save(storages["default"], "a")
        return storages["other"]

    return make


def put(storage, name, content=b"1"):
    """Write a file as somebody does who knows nothing of resto."""
    path = Path(storage.location) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("has_files", [False, True])
def test_hosts_of_another_storage_get_nothing_and_lose_nothing(site, servers, has_files):
    other = site()
    if has_files:
        put(other, "there")
    before = files(servers)
    with pytest.raises(ConfigurationError, match=THEIRS):
        save(other, "a")
    with pytest.raises(ReplicationError, match=THEIRS):
        other.delete("a")
    with suppress(FileNotFoundError):  # nothing is there that hosts could be compared with
        report = synchronize(other, SyncOptions(delete=True, force=True), lambda event: None)
        assert not report.agrees
    assert files(servers) == before
    assert save(storages["default"], "b") == "b"


@pytest.mark.parametrize(
    "kinds", [("Hybrid", "Distributed"), ("Distributed", "Hybrid"), ("Distributed", "Distributed")]
)
def test_storages_without_a_master_copy(site, servers, kinds):
    first, kind = kinds
    other = site(kind, first=first)
    before = files(servers)
    with pytest.raises((ConfigurationError, ReplicationError), match=THEIRS):
        save(other, "b")
    assert files(servers) == before


def test_hosts_of_another_storage_are_not_adopted_and_nothing_is_restored_from_them(site, servers):
    other = site()
    for command in (
        ["resto_adopt"],
        ["resto_adopt", "--although-files-are-missing"],
        ["resto_adopt", "--host", servers[0].url],
    ):
        with pytest.raises(CommandError, match=THEIRS):
            call_command(*command, "--storage", "other", "--no-input")
    report = restore(other, RestoreOptions(), lambda finding: None)
    assert "has the files of STORAGES['default']" in " ".join(report.problems)
    assert not Path(other.location).exists()


def test_hosts_with_two_names_belong_to_the_first(site, servers):
    """The settings do not show it; the hosts do."""
    other = site(hosts=[server.url.replace("127.0.0.1", "localhost") for server in servers])
    put(other, "there")
    assert shared_hosts("other") == []
    before = files(servers)
    with pytest.raises(ReplicationError, match=THEIRS):
        save(other, "a")
    Pending.objects.update(due=0, quiet_until=0)
    assert {host for (_, host), _ in drain().refused_hosts} == {*other.hosts}
    report = synchronize(other, SyncOptions(delete=True, force=True), lambda event: None)
    assert all("has the files of STORAGES['default']" in host.problems[0] for host in report.hosts)
    assert files(servers) == before
    with pytest.raises(CommandError, match=THEIRS):
        call_command("resto_adopt", "--storage", "other", "--host", other.hosts[0], "--no-input")


def test_storages_with_the_same_directory_share_hosts(begin, settings, servers):
    begin()
    later = {"BACKEND": "resto.storage.AsyncStorage", "OPTIONS": {"transport": "webdav", "executor": "inline"}}
    settings.STORAGES |= {"later": later}
    for alias in settings.STORAGES:
        save(storages[alias], alias)
    assert problems() == [""] * 4
    assert Pending.objects.count() == 0
    storages["default"].recognition.adopt(servers[0].url)
    assert problems() == [""] * 4
    storages["default"].recognition.follow(adopt(storages["default"].location, storages["default"].belief))
    assert problems() == [""] * 4


@pytest.mark.parametrize("first", ["Hybrid", "Distributed"])
def test_folder_of_another_storage_in_a_host_is_left_alone(site, servers, first):
    """Such as that of static files in a host of uploads."""
    other = site(hosts=[f"{server.url}private/" for server in servers], first=first)
    put(other, "there")
    for server in servers:
        server.create_file("private/extra", b"1")
    servers[1].create_file("private/more", b"1")
    save(other, "secret")
    before = files(servers)
    outer, events = storages["default"], []
    for change in (lambda: save(outer, "private/b"), lambda: outer.delete("private/secret")):
        with pytest.raises(ConfigurationError, match=r"is where STORAGES\['other'\] keeps its files"):
            change()
    assert synchronize(outer, SyncOptions(delete=True, force=True), events.append).agrees
    assert ("private", "STORAGES['other'] keeps its files there") in [(event.name, event.reason) for event in events]
    assert not synchronize(outer, SyncOptions(prefix="private"), events.append).agrees
    assert files(servers) == before


# Directories inside of each other.


@pytest.fixture
def nested(begin, settings, servers, tmp_path, media_root):
    """Two storages, each with a host; the directory of the second one is inside of that of the first."""
    settings.RESTO_MEDIA_HOSTS = [servers[0].url]
    begin(hosts=[servers[0].url], fatal_exceptions=True)
    options = {"transport": "webdav", "hosts": [servers[1].url], "location": str(media_root / "private")}
    settings.STORAGES |= {"other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    save(storages["default"], "a")
    save(storages["other"], "secret")
    return storages["default"]


def test_files_of_an_inner_storage_are_not_sent_to_the_hosts_of_the_outer_one(nested, servers):
    events = []
    for options in (SyncOptions(), SyncOptions(delete=True, force=True), SyncOptions(prefix="private")):
        report = synchronize(nested, options, events.append)
        assert report.agrees is (not options.prefix)
    assert [(event.name, event.reason) for event in events] == [
        ("private", "STORAGES['other'] keeps its files there")
    ] * 2
    assert {*servers[0].files} == {HOST_IDENTITY, "a"}


@pytest.mark.parametrize(
    "change",
    [
        lambda storage: save(storage, "private/b"),
        lambda storage: storage.delete("private/secret"),
        lambda storage: storage.publish("private/secret"),
        lambda storage: storage.open("private/b", "w").close(),
    ],
    ids=["save", "delete", "publish", "write"],
)
def test_outer_storage_changes_nothing_there(nested, servers, media_root, change):
    with pytest.raises(ConfigurationError, match=r"is where STORAGES\['other'\] keeps its files"):
        change(nested)
    assert {*servers[0].files} == {HOST_IDENTITY, "a"}
    assert sorted(path.name for path in (media_root / "private").iterdir()) == [".resto.master", "secret"]


def test_drain_leaves_it_out(nested, servers):
    Pending.objects.create(
        storage="default", host=servers[0].url, name="private/secret", present=True, created=0, due=0, quiet_until=0
    )
    assert drain().failed == 1
    assert {*servers[0].files} == {HOST_IDENTITY, "a"}


def test_directory_that_a_link_leads_to(begin, settings, servers, tmp_path, media_root):
    begin(hosts=[servers[0].url])
    options = {"transport": "webdav", "hosts": [servers[1].url], "location": str(tmp_path / "private")}
    settings.STORAGES |= {"other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}}
    save(storages["default"], "d/a")
    save(storages["other"], "secret")
    (media_root / "d" / "link").symlink_to(tmp_path / "private")
    synchronize(storages["default"], SyncOptions(), lambda event: None)
    assert {*servers[0].files} == {HOST_IDENTITY, "d/a"}

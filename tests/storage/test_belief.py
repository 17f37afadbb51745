"""Whether a directory is the master copy, and what happens if it is not."""

import re
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from kit.record import files, pending_for
from resto.exceptions import ConfigurationError, ReplicationError
from resto.master import identity
from resto.master.identity import Proof, ReplacedMeanwhileError, read_identity
from resto.master.root import Root
from resto.models import Host, Pending
from resto.record import identities, opening
from resto.record.identities import MASTER
from resto.repair.drain import drain
from resto.repair.sync import SyncOptions, synchronize
from resto.storage import HybridStorage, beginning
from resto.storage import belief as belief_module
from resto.storage.adopting import adopt
from resto.storage.belief import BELIEVED_FOR, MARKED_FOR, UNKNOWN_FOR
from resto.storage.verdict import problem_of


pytestmark = pytest.mark.django_db(transaction=True, available_apps=["resto"])

FILE = ".resto.master"


@pytest.fixture(autouse=True)
def _site(identities_apply):
    """Before what the fixtures of a test do."""


@pytest.fixture
def servers(resto_server_factory):
    return [resto_server_factory() for _ in range(2)]


@pytest.fixture
def make(settings, servers, media_root):
    def make(kind="HybridStorage", **options):
        options = {"hosts": [server.url for server in servers], "transport": "webdav"} | options
        settings.STORAGES = {"default": {"BACKEND": f"resto.storage.{kind}", "OPTIONS": options}}
        return storages["default"]

    return make


@pytest.fixture
def storage(make):
    return make()


@pytest.fixture
def time(clock, monkeypatch):
    """Let seconds pass, also for what is believed."""
    monkeypatch.setattr(belief_module, "monotonic", lambda: clock[0])

    def passes(seconds):
        clock[0] += seconds

    return passes


def save(storage, name="a", content=b"content"):
    return storage.save(name, ContentFile(content))


def found_in(directory):
    with Root(str(directory)) as root:
        return read_identity(root.descriptor)


def row():
    return Host.objects.get(host=MASTER)


# A master copy begins.


def test_first_save_of_a_new_site_gives_the_directory_an_identity(storage, media_root, servers):
    save(storage)
    found = found_in(media_root).identity
    assert (row().identity, row().mark) == found
    assert len(found.id) == len(found.mark) == 32
    assert storage.listdir("") == ([], ["a"])
    assert files(servers) == [{"a": b"content"}] * 2


class Overwriting(HybridStorage):
    def get_available_name(self, name, max_length=None):
        self.delete(name)
        return name


def test_new_site_has_nothing_to_delete(storage, media_root, servers):
    storage.delete("a")

    assert not media_root.exists()
    assert {request.method for server in servers for request in server.requests}.isdisjoint({"PUT", "DELETE"})
    assert (pending_for(), Host.objects.count()) == ([], 0)


def test_storage_that_deletes_before_each_save_can_save_on_a_new_site(storage, settings, servers):
    backend = f"{__name__}.Overwriting"
    settings.STORAGES = {"default": settings.STORAGES["default"] | {"BACKEND": backend}}
    overwriting = storages["default"]

    assert [overwriting.save("a", ContentFile(content)) for content in (b"1", b"2")] == ["a", "a"]
    assert files(servers) == [{"a": b"2"}] * 2


@pytest.mark.parametrize("known", ["file", "host", "pending", "identity"])
def test_nothing_is_deleted_where_a_directory_is_missing_that_may_have_had_files(storage, media_root, servers, known):
    if known == "file":
        servers[1].create_file("a", b"old")
    elif known == "host":
        identities.put("default", servers[0].url, "id", "")
    elif known == "pending":
        opening.open_lease("default", [servers[0].url], "b", present=True)
    else:
        save(storage)
        shutil.rmtree(media_root)
    before, rows = files(servers), pending_for()

    with pytest.raises((FileNotFoundError, ConfigurationError), match=f"^{media_root} is .*[Ii]s it mounted"):
        storage.delete("a")

    assert (files(servers), pending_for()) == (before, rows)


def test_first_save_of_a_site_of_before_does_so_though_hosts_have_files(storage, media_root, servers):
    media_root.mkdir()
    (media_root / "old").write_bytes(b"old")
    for server in servers:
        server.create_file("old", b"old")
    save(storage)
    assert row().identity == found_in(media_root).identity.id


@pytest.mark.parametrize("there", [[], ["lost+found"], [".resto-123"], ["d/e"]])
@pytest.mark.parametrize("kept", ["old", "d/old"])
def test_empty_directory_does_not_become_the_master_copy_of_hosts_with_files(storage, media_root, servers, there, kept):
    media_root.mkdir()
    for name in there:
        (media_root / name).mkdir(parents=True)
    servers[1].create_file(kept, b"old")
    with pytest.raises(ConfigurationError, match=f"{servers[1].url} has some .*resto_restore.*resto_adopt"):
        save(storage, kept)
    assert files(servers) == [{}, {kept: b"old"}]
    assert (pending_for(), Host.objects.count()) == ([], 0)


def test_hosts_with_empty_directories_have_no_files(storage, servers):
    for server in servers:
        server.create_file("d/e/.resto-x", b"")
    save(storage)
    assert row().identity


def test_host_that_is_down_does_not_keep_a_site_from_beginning(storage, servers, settings):
    settings.RESTO_FATAL_EXCEPTIONS = False
    servers[0].refuse = True
    save(storage)
    assert row().identity


@pytest.mark.parametrize("has_begun", [True, False])
def test_host_that_cannot_list_is_asked_for_its_identity(make, servers, has_begun):
    storage = make(transport="http")
    if has_begun:
        servers[0].create_file(".resto.host", b"")
        with pytest.raises(ConfigurationError, match="has some"):
            save(storage)
    else:
        save(storage)


def test_host_that_does_not_say_whether_it_has_files_does_not_keep_a_site_from_beginning(storage, servers):
    servers[1].refuse_code = 401
    with pytest.raises(ReplicationError, match="401"):
        save(storage)
    assert row().identity


def test_drain_begins_nothing(storage, media_root):
    media_root.mkdir()
    (media_root / "a").write_bytes(b"content")
    storage.open_lease("a", storage.hosts, present=True).release(0)
    assert drain().done == 2
    assert (Host.objects.count(), found_in(media_root)) == (0, None)


class KilledError(BaseException):
    pass


@contextmanager
def killed_at(monkeypatch, owner, name, *, after):
    """The process ends before or after a step."""
    original = getattr(owner, name)

    def killed(*args):
        if after:
            original(*args)
        raise KilledError

    with monkeypatch.context() as patch, suppress(KilledError):
        patch.setattr(owner, name, killed)
        yield


STEPS = [
    (identities, "add"),
    (beginning, "keep_identity"),
    (identities, "confirm"),
    (beginning, "read_identity"),
]


LOOKS = [(belief_module, "read_identity"), (identities, "find")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
def test_beginning_that_was_killed_is_completed(make, media_root, monkeypatch, step, after):
    with killed_at(monkeypatch, *step, after=after):
        save(make())
    assert save(make(), "b") == "b"
    assert (row().identity, row().mark) == found_in(media_root).identity


@pytest.mark.parametrize("shared", [True, False], ids=["one directory", "a directory each"])
@given(schedule=st.lists(st.booleans(), max_size=16), is_kept=st.booleans(), is_save=st.booleans())
@example(schedule=[False, True], is_kept=False, is_save=False)
def test_of_two_that_begin_at_once_one_master_copy_is_left(
    make, tmp_path, monkeypatch, shared, schedule, is_kept, is_save
):
    """Whoever waits in a step lets the other one begin in between; both may begin with a database that was kept. One may only look."""
    Host.objects.all().delete()
    if is_kept:
        identities.put("default", MASTER, "before", "mark")
    locations = [tmp_path / ("one" if shared or not number else "other") for number in range(2)]
    for location in set(locations):
        shutil.rmtree(location, ignore_errors=True)
        location.mkdir()
    turns, second, refused = iter(schedule), make(location=locations[1]), []
    composition = second._composed()

    def prove(storage, location, *, is_save):
        try:
            storage.belief.prove(root_of(location), identity.Proof(), is_save=is_save)
        except ConfigurationError as error:
            refused.append(error)

    def begin_second():
        prove(second, locations[1], is_save=True)

    def root_of(location):
        return roots[location].descriptor

    def stepping(original):
        def step(*args):
            if next(turns, False):
                patch.undo()
                begin_second()
            return original(*args)

        return step

    roots = {location: Root(str(location)) for location in locations}
    with monkeypatch.context() as patch:
        for owner, name in [*STEPS, *LOOKS]:
            patch.setattr(owner, name, stepping(getattr(owner, name)))
        first = make(location=locations[0])
        second._composition = composition  # it is in a process with settings of its own
        prove(first, locations[0], is_save=is_save)
    begin_second()
    believed = []
    for location, root in roots.items():
        found = read_identity(root.descriptor)
        [known] = identities.find(["default"])
        if found is not None and problem_of(str(location), found, known) is None:
            believed.append(location)
        root.__exit__()
    assert len(believed) == 1
    assert not shared or refused == [] or (is_kept and not is_save)


# What does not prove to be the master copy.


def unmounted(media_root):
    media_root.rename(media_root.parent / "away")
    media_root.mkdir()


def missing(media_root):
    media_root.rename(media_root.parent / "away")


def of_something_else(media_root):
    (media_root / FILE).write_text("id 1234\nmark 5678\n")


def not_whole(media_root):
    (media_root / FILE).write_text("")


def database_thrown_away(media_root):
    Host.objects.all().delete()


def gone_on_elsewhere(media_root):
    Host.objects.update(mark="elsewhere", marks='{"elsewhere": 1}')


def backup(media_root):
    known = row()
    Host.objects.update(mark="later", marks=f'{{"{known.mark}": 1000000, "later": 2000000}}')


CASES = {
    unmounted: "is not the master copy: it has no file .resto.master.*mounted.*resto_restore",
    missing: "is not the master copy: it has no file .resto.master",
    of_something_else: "is the master copy of something else.*resto_adopt",
    not_whole: "is the master copy of something else",
    database_thrown_away: "the database does not know .*resto_adopt",
    gone_on_elsewhere: "has gone on without this database.*resto_adopt",
    backup: f"a copy or a backup .* {datetime.fromtimestamp(1_000_000, UTC):%Y-%m-%d}.*resto_restore",
}


def write(storage):
    with storage.open("a", "wb") as file:
        file.write(b"other")


def sync(storage):
    with suppress(CommandError):
        call_command("resto_sync", "--delete", "--force", verbosity=0)
    raise storage.belief.examine()[0]


ACTS = {
    "save": lambda storage: save(storage, content=b"other"),
    "save a new name": lambda storage: save(storage, "new"),
    "delete": lambda storage: storage.delete("a"),
    "write": write,
    "publish": lambda storage: storage.publish("a"),
    "sync": sync,
}


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def refused(request, make, media_root, capsys):
    """A storage whose directory is not, or not known to be, its master copy any more; and what is said of it."""
    storage = make()
    for name in ("a", "b"):
        save(storage, name)
    Pending.objects.all().delete()
    request.param(media_root)
    storage.belief.forget()
    return storage, CASES[request.param]


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_nothing_is_written_sent_or_removed_for_another_directory(refused, servers, act):
    storage, problem = refused
    before = files(servers)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        act(storage)
    assert (files(servers), pending_for()) == (before, [])
    assert "\n" not in str(caught.value)


def test_drain_leaves_what_is_pending_to_whoever_has_the_right_directory(refused, servers):
    storage, _ = refused
    storage.open_lease("a", storage.hosts, present=True).release(0)
    before = files(servers), list(Pending.objects.values())
    drained = drain()
    assert (drained.claimed, [alias for alias, _ in drained.refused]) == (0, ["default"])
    assert (files(servers), list(Pending.objects.values())) == before


@pytest.mark.usefixtures("refused")
def test_worker_is_refused_too(make, servers):
    storage, before = make("AsyncStorage"), files(servers)
    performed = storage.perform("remove", storage.hosts, "a")
    assert all(isinstance(outcome.error, ConfigurationError) for outcome in performed.outcomes)
    assert (files(servers), len(pending_for())) == (before, 2)


def test_reading_goes_on(refused):
    storage, _ = refused
    with storage.open("a") as file:  # wherever it is
        assert file.read() == b"content"
    assert storage.exists("a")


def test_status_says_so(refused, capsys):
    _, problem = refused
    with pytest.raises(SystemExit) as ended:
        call_command("resto_status")
    assert ended.value.code == 2
    [line] = [line for line in capsys.readouterr().out.splitlines() if "nothing is written" in line]
    assert re.search(problem, line)


def test_adopted_directory_is_believed(refused, media_root, servers):
    storage, _ = refused
    media_root.mkdir(exist_ok=True)
    adopt(storage.location, storage.belief)
    assert save(storage, "new") == "new"
    assert (row().identity, row().mark) == found_in(media_root).identity
    assert all(server.has_file("new") for server in servers)


def test_emptied_master_copy_is_empty(storage, servers):
    """It is there, and proves it: what was deleted last is not taken for what an unmounted disk lacks."""
    save(storage)
    servers[0].refuse = True
    with suppress(OSError):
        storage.delete("a")
    servers[0].refuse = False
    Pending.objects.update(due=0, quiet_until=0)
    assert drain().done == 1
    assert (files(servers), pending_for()) == ([{}, {}], [])


@pytest.fixture
def begin_anew(make, resto_server_factory):
    """A database that was kept, and hosts that are new."""

    def begin_anew(**options):
        return make(hosts=[resto_server_factory().url for _ in range(2)], **options)

    return begin_anew


@pytest.mark.parametrize("lose", [unmounted, missing])
def test_database_that_was_kept_is_no_obstacle_where_nothing_can_be_lost(make, media_root, lose, begin_anew):
    save(make())
    before = row()
    lose(media_root)
    assert save(begin_anew(), "b") == "b"
    assert (row().identity, row().mark) == found_in(media_root).identity
    assert row().identity != before.identity


@pytest.mark.parametrize("obstacle", ["hosts of before", "file on a host", "host that is down", "no listings", "row"])
def test_database_that_was_kept_is_an_obstacle_where_something_may_be_lost(
    make, media_root, servers, resto_server_factory, begin_anew, obstacle
):
    save(make())
    for server in servers:
        server.delete_file("a")
    unmounted(media_root)
    storage = begin_anew()
    if obstacle == "hosts of before":
        storage = make()
    elif obstacle == "file on a host":
        server = resto_server_factory()
        server.create_file("a", b"content")
        storage = make(hosts=[server.url])
    elif obstacle == "host that is down":
        server = resto_server_factory()
        server.refuse = True
        storage = make(hosts=[server.url])
    elif obstacle == "no listings":
        storage = begin_anew(transport="http")
    else:
        storage.open_lease("other", storage.hosts[:1], present=True).release(0)
    with pytest.raises(ConfigurationError, match="Is it mounted"):
        save(storage, "b")


# Within one action.


def test_directory_that_is_unmounted_during_a_save_gets_the_file_and_hosts_lose_nothing(storage, media_root, servers):
    save(storage)
    announce = storage.open_lease

    def open_lease(*args, **kwargs):
        lease = announce(*args, **kwargs)
        unmounted(media_root)
        return lease

    storage.open_lease = open_lease
    with pytest.raises(ConfigurationError, match=r"has no file \.resto\.master"):
        save(storage, "b")
    assert (media_root.parent / "away" / "b").exists()
    assert list(media_root.iterdir()) == []
    assert len(pending_for()) == 2


def emptied_and_restored(media_root, *, without=()):
    """As an administrator does who empties a directory and lets rsync bring it back, the identity last."""
    content = (media_root / FILE).read_bytes()
    kept = {path: path.read_bytes() for path in media_root.iterdir() if path.is_file() and path.name != FILE}
    for path in (media_root / FILE, *kept):
        path.unlink()
    yield
    for path, what in kept.items():
        if path.name not in without:
            path.write_bytes(what)
    (media_root / FILE).write_bytes(content)


@pytest.mark.parametrize("kind", ["HybridStorage", "AsyncStorage"])
def test_save_is_not_acknowledged_if_the_directory_was_emptied_and_restored_meanwhile(
    make, media_root, monkeypatch, kind
):
    storage, publish = make(kind, executor="inline"), Root.publish
    save(storage, "old")

    def published(root, temporary, name, *, replace):
        result = publish(root, temporary, name, replace=replace)
        for _ in emptied_and_restored(media_root, without={name}):
            pass
        return result

    monkeypatch.setattr(Root, "publish", published)
    with pytest.raises(ReplacedMeanwhileError, match="emptied and restored"):
        save(storage, "new")
    assert {name for _, name, _ in pending_for()} == {"new"}


def test_absence_is_not_believed_if_the_directory_was_emptied_and_restored_meanwhile(
    make, media_root, monkeypatch, servers
):
    storage, opened = make(), Root.open
    for name in ("a", "b"):
        save(storage, name)
    storage.open_lease("a", storage.hosts, present=True).release(0)

    def open_meanwhile(root, name, *args):
        if name != "a":
            return opened(root, name, *args)
        meanwhile = emptied_and_restored(media_root)
        next(meanwhile)
        try:
            return opened(root, name, *args)
        finally:
            next(meanwhile, None)

    with monkeypatch.context() as patch:
        patch.setattr(Root, "open", open_meanwhile)
        drained = drain()
    assert drained.failed == 2
    assert all(server.has_file("a") for server in servers)
    assert len(pending_for()) == 2


# The mark.


def test_mark_is_replaced_each_hour(storage, media_root, time):
    save(storage)
    marks = [found_in(media_root).identity.mark]
    for seconds in (MARKED_FOR - 1, BELIEVED_FOR, MARKED_FOR):
        time(seconds)
        save(storage, "b")
        marks.append(found_in(media_root).identity.mark)
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3
    assert [*identities.find(["default"])[0].marks] == marks[1:]


def test_copy_of_the_directory_is_known_for_what_it_is(storage, media_root, time, settings):
    save(storage)
    copy = media_root.parent / "copy"
    shutil.copytree(media_root, copy)
    time(MARKED_FOR)
    save(storage, "b")
    settings.MEDIA_ROOT = str(copy)
    with pytest.raises(ConfigurationError, match="a copy or a backup of the master copy, as it was made on"):
        save(storages["default"], "c")


def test_mark_is_replaced_during_a_save(storage, media_root, monkeypatch, time, make, servers):
    """It is no other directory."""
    save(storage)
    publish = Root.publish

    def published(root, temporary, name, *, replace):
        result = publish(root, temporary, name, replace=replace)
        monkeypatch.setattr(Root, "publish", publish)
        time(MARKED_FOR)
        save(make(), "other")
        return result

    monkeypatch.setattr(Root, "publish", published)
    assert save(storage, "b") == "b"
    assert all(server.has_file("b") for server in servers)


RENEWAL = [
    (identities, "change_mark"),
    (belief_module, "replace_identity"),
    (identities, "finish_mark"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", RENEWAL, ids=[name for _, name in RENEWAL])
def test_replacement_of_the_mark_that_was_killed_is_completed(make, media_root, monkeypatch, time, step, after):
    save(make())
    before = row().mark
    time(MARKED_FOR)
    with killed_at(monkeypatch, *step, after=after):
        save(make(), "b")
    for name in ("c", "d"):
        save(make(), name)
    assert row().mark == found_in(media_root).identity.mark != before
    assert row().next_mark == ""


def test_machine_that_may_only_read_the_directory_leaves_the_mark(storage, monkeypatch, time, media_root):
    save(storage)
    before = found_in(media_root).identity
    time(MARKED_FOR)
    monkeypatch.setattr(
        belief_module, "replace_identity", lambda *args: (_ for _ in ()).throw(OSError(30, "read-only"))
    )
    assert storage.belief.require()
    assert found_in(media_root).identity == before


# What is remembered.


def test_record_is_asked_once_in_a_while(storage, monkeypatch, time):
    asked = []
    monkeypatch.setattr(identities, "find", lambda *args, find=identities.find: asked.append(1) or find(*args))
    save(storage)
    asked.clear()
    for name in ("b", "c"):
        save(storage, name)
    assert asked == []
    time(BELIEVED_FOR)
    save(storage, "d")
    assert asked == [1]


def test_adoption_elsewhere_is_noticed_within_a_minute(storage, time, media_root):
    save(storage)
    identities.put("default", MASTER, "another", "mark")
    time(BELIEVED_FOR)
    with pytest.raises(ConfigurationError, match="something else"):
        save(storage, "b")


def test_same_directory_is_believed_while_the_record_cannot_be_read(storage, monkeypatch, time):
    save(storage)
    time(BELIEVED_FOR)

    def find(*args):
        raise DatabaseError("gone")

    monkeypatch.setattr(identities, "find", find)
    save(storage, "b")
    storage.belief.forget()
    with pytest.raises(DatabaseError, match="gone"):
        save(storage, "c")


def test_identity_of_tests_is_in_memory(storage, monkeypatch, media_root):
    monkeypatch.undo()
    save(storage)
    unmounted(media_root)
    save(storage, "b")
    assert (Host.objects.count(), found_in(media_root)) == (0, None)


def test_two_storages_with_one_directory_share_an_identity(settings, servers, media_root):
    options = {"hosts": [server.url for server in servers], "transport": "webdav", "executor": "inline"}
    settings.STORAGES = {
        alias: {"BACKEND": f"resto.storage.{kind}Storage", "OPTIONS": options}
        for alias, kind in (("default", "Hybrid"), ("later", "Async"))
    }
    save(storages["later"])
    save(storages["default"], "b")
    assert [one.storage for one in Host.objects.filter(host="")] == ["default"]


# Below.


def test_link_below_that_is_a_directory_by_now_is_not_mounted(storage, media_root, tmp_path, servers):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    media_root.mkdir()
    (media_root / "d").symlink_to(elsewhere)
    save(storage, "d/a")
    assert (elsewhere / "a").exists()
    (media_root / "d").unlink()
    for there in (False, True):
        if there:
            (media_root / "d").mkdir()
        for act in (lambda: save(storage, "d/b"), lambda: storage.delete("d/a"), lambda: storage.publish("d/a")):
            storage.belief.forget()
            with pytest.raises(ConfigurationError, match="media/d was a link, and is none; is it mounted"):
                act()
    assert save(storage, "b") == "b"
    assert all(server.has_file("d/a") for server in servers)
    adopt(storage.location, storage.belief)
    storage.delete("d/a")
    assert not any(server.has_file("d/a") for server in servers)


@pytest.mark.parametrize("lose", [unmounted, missing])
def test_refusal_names_the_storage_where_there_are_others(storage, settings, media_root, tmp_path, lose):
    save(storage)
    other = {**settings.STORAGES["default"]["OPTIONS"], "location": str(tmp_path / "other")}
    settings.STORAGES |= {"other": {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": other}}
    lose(media_root)
    for act in (storages["default"].belief.require, lambda: save(storages["default"])):
        with pytest.raises(ConfigurationError, match=r"run: manage.py resto_restore --storage default\."):
            act()
    problem, _ = storages["default"].belief.examine()
    assert "resto_restore --storage default." in str(problem)


def test_directory_below_that_becomes_a_link_is_remembered_by_a_process_that_knew_it_before(
    storage, media_root, tmp_path, time
):
    save(storage, "d/a")
    (media_root / "d").rename(tmp_path / "elsewhere")
    (media_root / "d").symlink_to(tmp_path / "elsewhere")
    time(BELIEVED_FOR)
    save(storage, "d/b")
    assert identities.find(["default"])[0].places == {"d": "a link"}


def test_what_two_processes_remember_of_directories_below_is_remembered(storage, make, media_root, tmp_path):
    other = make()
    save(storage, "a")
    save(other, "b")  # both know that nothing is elsewhere
    for one, name in ((storage, "d"), (other, "e")):
        (tmp_path / name).mkdir()
        (media_root / name).symlink_to(tmp_path / name)
        save(one, f"{name}/a")
    assert identities.find(["default"])[0].places == {"d": "a link", "e": "a link"}


@pytest.fixture
def not_mounted_below(storage, media_root, tmp_path):
    """A storage with a file in a directory below that is not mounted any more."""
    (tmp_path / "elsewhere").mkdir()
    media_root.mkdir()
    (media_root / "d").symlink_to(tmp_path / "elsewhere")
    save(storage, "d/a")
    save(storage, "b")
    (media_root / "d").unlink()
    (media_root / "d").mkdir()
    storage.belief.forget()
    return storage


def test_status_tells_of_a_directory_below(not_mounted_below, capsys):
    with pytest.raises(SystemExit) as exit_info:
        call_command("resto_status")
    assert exit_info.value.code == 2
    assert (
        "media/d was a link, and is none; is it mounted? (If its files are lost, run: manage" in capsys.readouterr().out
    )


def test_files_of_a_directory_below_that_is_not_mounted_are_read_from_hosts(not_mounted_below):
    with not_mounted_below.open("d/a") as file:
        assert file.read() == b"content"
    assert (not_mounted_below.exists("d/a"), not_mounted_below.size("d/a")) == (True, 7)


@pytest.mark.parametrize("is_there", [True, False])
def test_comparison_does_nothing_while_a_directory_below_is_not_mounted(
    not_mounted_below, media_root, servers, is_there
):
    (media_root / "b").unlink()
    if not is_there:
        (media_root / "d").rmdir()
        (media_root / "d").symlink_to("nowhere")
    report = synchronize(not_mounted_below, SyncOptions(delete=True, force=True), lambda event: None)
    assert not report.agrees
    assert "media/d was a link, and is none" in report.problems[0]
    assert all(server.has_file(name) for server in servers for name in ("d/a", "b"))


# What cannot be looked at.


@pytest.fixture(params=["identity", "root"])
def unreadable(request, storage, media_root):
    """A storage whose directory does not show what it is."""
    save(storage)
    if request.param == "identity":
        (media_root / FILE).unlink()
        (media_root / FILE).mkdir()
    else:
        media_root.rename(media_root.with_name("away"))
        media_root.write_bytes(b"")
    storage.belief.forget()
    return storage


@pytest.mark.parametrize(
    "act",
    [save, lambda storage: storage.delete("a"), lambda storage: storage.publish("a")],
    ids=["save", "delete", "publish"],
)
def test_directory_that_does_not_show_what_it_is_is_refused(unreadable, servers, media_root, act):
    error, match = ConfigurationError, "resto.master in .* cannot be read: is a directory"
    if not media_root.is_dir():
        error, match = NotADirectoryError, "Not a directory: .*media"
    with pytest.raises(error, match=match):
        act(unreadable)
    assert all(server.has_file("a") for server in servers)


def test_commands_say_so_in_one_sentence(unreadable, capsys):
    sentence = "the file .resto.master in "
    with pytest.raises(SystemExit):
        call_command("resto_status")
    with pytest.raises(CommandError):
        call_command("resto_drain")
    with pytest.raises(CommandError):
        call_command("resto_sync")
    with pytest.raises(CommandError, match="The directory cannot be restored: "):
        call_command("resto_restore", no_input=True)
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count(sentence) == 3


# How often the record is asked.


def test_record_is_asked_once_for_an_action_where_nothing_is_known(storage, media_root, time):
    media_root.mkdir()
    proof = Proof()

    def prove():
        with Root(str(media_root)) as root, CaptureQueriesContext(connection) as queries:
            storage.belief.prove(root.descriptor, proof)
        return len(queries)

    assert [prove() for _ in range(4)] == [1, 0, 0, 0]
    Host.objects.create(storage="default", host=MASTER, identity="1" * 32, mark="2" * 32, looked=1)
    time(UNKNOWN_FOR)
    with pytest.raises(ConfigurationError):
        prove()

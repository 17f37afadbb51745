"""Storages of static files."""

import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from kit.record import files
from resto.exceptions import ConfigurationError
from resto.models import Host, Pending
from resto.progress import Progress
from resto.repair.drain import drain
from resto.staticfiles import ManifestStaticFilesStorage, StaticFilesStorage
from resto.storage.recognition import Recognition


MANIFEST = "resto.staticfiles.ManifestStaticFilesStorage"


def save(storage, **files):
    for name, content in files.items():
        storage.save(f"{name}.css", ContentFile(content))


def puts(server):
    return [request.path for request in server.requests if request.method == "PUT"]


def test_file_is_on_all_hosts_and_in_the_master_copy(use, servers, tmp_path):
    storage = use()
    save(storage, a=b"1")
    assert (tmp_path / "static" / "a.css").read_bytes() == b"1"
    assert [server.files for server in servers] == [{"a.css": b"1"}] * 2
    assert storage.url("a.css") == "/static/a.css"


def test_file_is_replaced(use, servers):
    storage = use()
    save(storage, a=b"1")
    assert storage.save("a.css", ContentFile(b"2")) == "a.css"
    assert [server.files for server in servers] == [{"a.css": b"2"}] * 2


def test_hosts_follow_at_the_end(use, servers):
    storage = use()
    save(storage, a=b"1", gone=b"1")
    with storage.publishing() as publication:
        storage.delete("a.css")
        storage.delete("gone.css")
        save(storage, a=b"2", b=b"3")
        assert storage.exists("a.css")
        assert [server.files for server in servers] == [{"a.css": b"1", "gone.css": b"1"}] * 2
    assert [server.files for server in servers] == [{"a.css": b"2", "b.css": b"3"}] * 2
    assert (publication.sent, publication.unchanged, publication.failures) == (3, 0, [])


@pytest.mark.django_db
def test_file_that_is_as_before_is_not_sent(use, servers):
    storage = use()
    save(storage, a=b"1", b=b"1")
    before = [puts(server) for server in servers]
    with storage.publishing() as publication:
        storage.delete("a.css")
        save(storage, a=b"1")
        save(storage, b=b"2")
        save(storage, b=b"1")
        save(storage, c=b"3")
        storage.delete("c.css")
        storage.delete("never.css")
    assert [puts(server) for server in servers] == before
    assert (publication.sent, publication.unchanged) == (0, 4)


def test_everything_is_sent_where_nothing_is_recorded(use, servers):
    """A host may have missed it before, which nobody knows."""
    storage = use()
    save(storage, a=b"1")
    servers[1].delete_file("a.css")
    with storage.publishing() as publication:
        save(storage, a=b"1")
    assert servers[1].files == {"a.css": b"1"}
    assert (publication.sent, publication.unchanged) == (1, 0)


def test_what_was_changed_is_published_although_the_rest_has_failed(use, servers):
    storage = use()

    def fail():
        with storage.publishing():
            save(storage, a=b"1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [server.files for server in servers] == [{"a.css": b"1"}] * 2
    save(storage, b=b"1")
    assert servers[0].has_file("b.css")


def test_everything_may_be_deleted(use, servers):
    storage = use()
    save(storage, a=b"1")
    with storage.publishing():
        storage.delete("a.css")
    assert [server.files for server in servers] == [{}, {}]


def test_many_files_are_published(use, servers):
    storage, told = use(), []
    with storage.publishing(told.append) as publication:
        save(storage, **{f"{number:03}": b"%d" % number for number in range(450)})
    assert [len(server.files) for server in servers] == [450, 450]
    assert publication.sent == 450
    assert told[-1] == Progress(450, 450, sent_bytes=2 * 1240, total_bytes=2 * 1240, is_final=True)


@pytest.mark.django_db
def test_interruption_leaves_the_rest_to_the_record(use, servers):
    storage = use()
    with suppress(KeyboardInterrupt), storage.publishing():
        save(storage, a=b"1")
        raise KeyboardInterrupt
    assert [server.files for server in servers] == [{}, {}]
    assert {row.name for row in Pending.objects.all()} == {"a.css"}


@pytest.mark.django_db
def test_nothing_is_pending_once_all_hosts_have_it(use, servers):
    storage = use()
    with storage.publishing():
        save(storage, a=b"1", same=b"1")
        assert Pending.objects.count() == 4
        storage.delete("same.css")
    assert Pending.objects.count() == 0


@pytest.mark.django_db
def test_host_that_is_down_is_pending(use, servers):
    storage = use()
    servers[1].refuse = True
    with storage.publishing() as publication:
        save(storage, a=b"1", b=b"2")
        storage.delete("a.css")
    assert servers[0].files == {"b.css": b"2"}
    assert [outcome.host for outcome in publication.failures] == [servers[1].url]
    assert {(row.name, row.host) for row in Pending.objects.all()} == {("b.css", servers[1].url)}


def test_no_links(use):
    with pytest.raises(NotImplementedError, match="links"):
        use().path("")
    assert Path(use().path("a.css")).name == "a.css"


@pytest.mark.parametrize("backend", [MANIFEST, MANIFEST.replace("Manifest", "")])
def test_static_root_is_needed_for_files_and_not_for_urls(use, settings, backend):
    storage = use(backend)
    settings.STATIC_ROOT = None
    storage = type(storages["staticfiles"])(**storages["staticfiles"]._constructor_args[1])
    [problem] = storage.problems()
    assert problem.code == "E016"
    assert storage.base_url == "/static/"
    with pytest.raises(ConfigurationError, match="STATIC_ROOT is not set"):
        storage.save("a.css", ContentFile(b""))
    assert not storage.exists("a.css")


@pytest.mark.parametrize("storage_class", [StaticFilesStorage, ManifestStaticFilesStorage])
def test_storage_pickles_and_deconstructs(settings, tmp_path, storage_class):
    storage = storage_class(["media-1"], "/static/", tmp_path)
    copy = pickle.loads(pickle.dumps(storage))
    assert (type(copy), copy.hosts, copy.location) == (storage_class, ("media-1",), str(tmp_path))
    path, args, kwargs = storage.deconstruct()
    assert (path, args, kwargs) == (
        f"resto.staticfiles.{storage_class.__name__}",
        (["media-1"], "/static/", tmp_path),
        {},
    )


# Releases.


def publish(storage, **files):
    with storage.publishing():
        save(storage, **files)


@pytest.mark.usefixtures("identities_apply")
@pytest.mark.django_db(transaction=True)
def test_each_release_adopts_its_directory(use, servers, tmp_path):
    for release in ("1", "2"):
        publish(use(location=str(tmp_path / release)), a=release.encode())
    assert files(servers) == [{"a.css": b"2"}] * 2
    storage = use(location=str(tmp_path / "1"))
    storage.open_lease("a.css", storage.hosts, present=True).release(0)
    assert [alias for alias, _ in drain().refused] == ["staticfiles"]
    assert files(servers) == [{"a.css": b"2"}] * 2
    use(location=str(tmp_path / "2"))
    assert drain().done == 2


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.usefixtures("identities_apply")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["follow", "examine"])
def test_release_whose_adoption_was_killed_is_published_by_the_next_run(use, servers, tmp_path, monkeypatch, step):
    publish(use(location=str(tmp_path / "1")), a=b"1")
    with monkeypatch.context() as patch:
        patch.setattr(Recognition, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            publish(use(location=str(tmp_path / "2")), a=b"2")
    publish(use(location=str(tmp_path / "2")), a=b"2")
    assert files(servers) == [{"a.css": b"2"}] * 2


@pytest.mark.usefixtures("identities_apply")
@pytest.mark.django_db(transaction=True)
def test_release_that_is_published_again_keeps_its_identity(use):
    identities = set()
    for content in (b"1", b"2"):
        publish(use(), a=content)
        identities.add(Host.objects.get(host="").identity)
    assert len(identities) == 1

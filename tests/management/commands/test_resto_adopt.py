"""The command that says which directory is the master copy, or which server a host."""

import io
import shutil

import pytest
from django.core.management import CommandError, call_command

from kit.recognized import problems, save, wipe
from kit.record import files
from resto.exceptions import ReplicationError
from resto.models import Host, Pending
from resto.names import MASTER_IDENTITY
from resto.repair.drain import drain
from resto.repair.status import master_status


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("identities_apply")]


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def storage(begin):
    """A storage with one file."""
    storage = begin()
    save(storage, "a")
    return storage


def adopt(*args, **options):
    output = io.StringIO()
    call_command("resto_adopt", *args, interactive=False, stdout=output, **options)
    return output.getvalue()


def test_database_was_thrown_away(storage, begin, servers):
    Host.objects.all().delete()
    storage = begin()
    with pytest.raises(Exception, match="resto_adopt"):
        save(storage, "b")
    text = adopt()
    assert (
        f"{servers[0].url} has 1 file in common with what is in {storage.location}, lacks 0, has 0 that are not" in text
    )
    assert text.endswith("Adopted.\n")
    save(storage, "b")
    assert files(servers) == [{"a": b"a", "b": b"b"}] * 2
    assert (problems(), master_status("default").problem) == (["", ""], "")


def test_directory_that_lacks_what_hosts_have(storage, begin, servers, media_root):
    shutil.rmtree(media_root)
    media_root.mkdir()
    with pytest.raises(CommandError, match=r"lacks 1 file that hosts have\. manage.py resto_restore"):
        adopt()
    with pytest.raises(CommandError, match=r"manage.py resto_restore --storage default brings them"):
        adopt(storage="default")
    assert not (media_root / MASTER_IDENTITY).exists()
    text = adopt("--although-files-are-missing")
    assert "has 1 that are not in" in text
    assert (media_root / MASTER_IDENTITY).exists()
    # It has not proven to be that of these hosts, which may be in use by the site that this is a copy of.
    assert text.count("manage.py resto_adopt --host") == 2
    save(begin(), "b")
    assert files(servers) == [{"a": b"a"}] * 2
    adopt(host=[server.url for server in servers])
    Pending.objects.update(due=0, quiet_until=0)
    assert drain().done == 2
    assert files(servers) == [{"a": b"a", "b": b"b"}] * 2


@pytest.mark.parametrize("is_known", [True, False])
def test_directory_without_files_whose_hosts_do_not_list_theirs(begin, servers, media_root, is_known):
    """They have been hosts before, so that they may have some: it may not be mounted."""
    save(begin(transport="http"), "a")
    shutil.rmtree(media_root)
    media_root.mkdir()
    if not is_known:  # by the database, which was thrown away
        Host.objects.all().delete()
    begin(transport="http")
    with pytest.raises(
        CommandError, match=rf"media has no files, and {servers[0].url} does not list those that it may have"
    ):
        adopt()
    assert not (media_root / MASTER_IDENTITY).exists()
    assert adopt("--although-files-are-missing").count("Adopted.") == 1
    (media_root / "a").write_bytes(b"a")
    assert "Adopted." in adopt()


def test_directory_without_files_whose_hosts_have_never_been_hosts(begin, servers, media_root):
    media_root.mkdir()
    begin(transport="http")
    assert "Adopted." in adopt()


def test_directory_that_is_missing(storage, media_root):
    shutil.rmtree(media_root)
    with pytest.raises(CommandError, match="The directory cannot be adopted"):
        adopt()


def test_host_that_has_lost_its_disk_for_good(storage, begin, servers):
    wipe(servers[0])
    begin()
    assert "resto_adopt --host" in problems()[0]
    text = adopt(host=[servers[0].url])
    assert f"{servers[0].url} has 0 files in common" in text
    assert "lacks 1" in text
    assert "it has lost its files, or its disk" in text
    assert "resto_adopt" not in text  # to run that is no advice to who does
    assert servers[1].url not in text
    assert problems() == ["", ""]
    call_command("resto_sync", verbosity=0, stdout=io.StringIO())
    assert files(servers) == [{"a": b"a"}] * 2


def test_host_that_is_the_master_copy_is_refused(begin, media_root, servers, resto_server_factory):
    media_root.mkdir()
    servers[0] = resto_server_factory(root=media_root)
    (media_root / "a").write_bytes(b"a")
    save(begin(), "b")
    with pytest.raises(CommandError, match="which is the master copy itself"):
        adopt(host=[servers[0].url])


def test_hosts_without_a_master_copy_whose_database_was_thrown_away(begin, servers):
    save(begin("Distributed"), "a")
    Host.objects.all().delete()
    with pytest.raises(ReplicationError, match="belongs to something else"):
        save(begin("Distributed"), "b")
    assert all("resto_adopt" in problem for problem in problems())
    assert adopt().count("1 file in common") == 2
    assert problems() == ["", ""]
    assert {host.state for host in Host.objects.all()} == {""}


def test_nobody_can_be_asked(storage):
    with pytest.raises(CommandError, match="nobody can be asked here"):
        call_command("resto_adopt", stdout=io.StringIO())


@pytest.mark.parametrize(("answer", "outcome"), [("y", "Adopted."), ("", None)])
def test_somebody_is_asked(storage, monkeypatch, capsys, answer, outcome):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    questions = []
    before = Host.objects.get(host="").identity
    if outcome is None:
        with pytest.raises(CommandError, match="Nothing was adopted"):
            call_command("resto_adopt")
    else:
        call_command("resto_adopt")
        assert outcome in capsys.readouterr().out
    assert questions == [f"Let {storage.location} be the master copy from now on, as it is? [y/N] "]
    assert (Host.objects.get(host="").identity == before) == (outcome is None)


def test_wrong_choices(storage, settings, servers, tmp_path):
    with pytest.raises(CommandError, match="There is no host http://other/"):
        adopt(host=["http://other/"])
    with pytest.raises(CommandError, match="resto has no storage 'other'"):
        adopt(storage="other")
    options = {**settings.STORAGES["default"]["OPTIONS"], "location": str(tmp_path / "other")}
    other = {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "other": other}
    with pytest.raises(CommandError, match="Give --storage: one of default, other"):
        adopt()


def test_directory_below_that_is_not_mounted_lacks_files(storage, servers, media_root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (media_root / "d").symlink_to(tmp_path / "elsewhere")
    save(storage, "d/b")
    (media_root / "d").unlink()
    with pytest.raises(CommandError, match="lacks 1 file that hosts have"):
        adopt()
    assert adopt("--although-files-are-missing").endswith("Adopted.\n")
    assert save(storage, "d/c") == "d/c"

"""``manage.py collectstatic``, as Django's own and as that of resto.staticfiles."""

import io
import os
import signal

import pytest
from django.contrib.staticfiles.management.commands import collectstatic as of_django
from django.core import management
from django.core.management import CommandError, call_command

from resto import health
from resto.models import Pending
from resto.staticfiles.management.commands import collectstatic as of_resto


MANIFEST = "resto.staticfiles.ManifestStaticFilesStorage"
PLAIN = "resto.staticfiles.StaticFilesStorage"


def collect(command=of_resto, **options):
    output = io.StringIO()
    call_command(command.Command(), interactive=False, stdout=output, stderr=output, **options)
    return output.getvalue()


def write(sources, **files):
    for name, content in files.items():
        path = sources / name.replace("__", "/").replace("_css", ".css").replace("_png", ".png")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


def later(sources):
    """Let all sources look as if they were just written."""
    for path in sources.rglob("*"):
        os.utime(path, (2_000_000_000, 2_000_000_000))


def requests(server, method="PUT"):
    asked = [request.path for request in server.requests if request.method == method and ".resto-" not in request.path]
    return sorted(path.rpartition("/")[2] for path in asked)


SITE = {"site_css": "body { background: url(img/a.png) }", "img__a_png": "a", "img__b_png": "b"}


@pytest.mark.parametrize("command", [of_resto, of_django])
@pytest.mark.parametrize("backend", [PLAIN, MANIFEST])
def test_all_hosts_get_what_is_collected(use, servers, sources, tmp_path, command, backend):
    storage = use(backend)
    write(sources, **SITE)
    collect(command)
    master = {
        str(path.relative_to(tmp_path / "static")): path.read_bytes()
        for path in (tmp_path / "static").rglob("*")
        if path.is_file()
    }
    assert [server.files for server in servers] == [master] * 2
    assert master.keys() >= {"site.css", "img/a.png", "img/b.png"}
    if backend == MANIFEST:
        hashed = storage.stored_name("site.css")
        assert hashed != "site.css"
        assert storage.stored_name("img/a.png").encode() in master[hashed].replace(b'url("', b"img/").replace(
            b"img/img/", b"img/"
        )
        assert storage.url("site.css") == f"/static/{hashed}"


@pytest.mark.django_db
@pytest.mark.parametrize("backend", [PLAIN, MANIFEST])
def test_only_what_has_changed_is_sent(use, servers, sources, backend):
    """Although all files are newer, as after a deployment."""
    use(backend)
    write(sources, **SITE)
    collect()
    for server in servers:
        server.requests.clear()
    write(sources, img__b_png="other")
    later(sources)
    output = collect()
    sent = set(requests(servers[0])) - {"staticfiles.json"}
    assert sent
    assert all(name.startswith("b.") for name in sent)
    assert requests(servers[0], "DELETE") == []
    assert "as before." in output
    later(sources)
    for server in servers:
        server.requests.clear()
    collect()
    assert [server.requests for server in servers] == [[], []]


def test_file_is_never_missing_while_it_is_replaced(use, servers, sources):
    use()
    write(sources, site_css="old")
    collect()
    seen = []
    servers[0].on_request = lambda method, path: seen.append(servers[0].has_file("site.css"))
    write(sources, site_css="new")
    later(sources)
    collect()
    assert servers[0].get_file("site.css") == b"new"
    assert set(seen) == {True}


@pytest.mark.django_db
def test_clear_removes_what_is_not_collected_any_more(use, servers, sources):
    use()
    write(sources, **SITE)
    collect()
    (sources / "img" / "b.png").unlink()
    for server in servers:
        server.requests.clear()
    collect(clear=True)
    assert set(servers[0].files) == {"site.css", "img/a.png"}
    assert requests(servers[0]) == []
    assert requests(servers[0], "DELETE") == ["b.png"]


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("backend", [PLAIN, MANIFEST])
def test_dry_run_changes_nothing(use, servers, sources, tmp_path, clear, backend):
    use(backend)
    write(sources, site_css="old")
    collect()
    before = [dict(server.files) for server in servers]
    for server in servers:
        server.requests.clear()
    write(sources, site_css="new", other_css="new")
    collect(dry_run=True, clear=clear)
    assert [server.files for server in servers] == before
    assert [server.requests for server in servers] == [[], []]
    assert (tmp_path / "static" / "site.css").read_text() == "old"


@pytest.mark.parametrize(("command", "reason"), [(of_resto, "Leave --link out"), (of_django, "Can't symlink")])
def test_links_are_refused(use, servers, sources, tmp_path, command, reason):
    use()
    write(sources, **SITE)
    with pytest.raises(CommandError, match=reason):
        collect(command, link=True)
    assert not (tmp_path / "static").exists()


def test_without_post_processing(use, servers, sources):
    use(MANIFEST)
    write(sources, site_css="body {}")
    collect(post_process=False)
    assert [set(server.files) for server in servers] == [{"site.css"}] * 2


@pytest.mark.django_db
@pytest.mark.parametrize("fatal", [True, False])
def test_host_that_is_down_is_named(use, servers, sources, fatal):
    use(fatal_exceptions=fatal)
    write(sources, **SITE)
    servers[1].refuse = True
    if fatal:
        with pytest.raises(CommandError) as caught:
            collect()
        text = str(caught.value)
    else:
        text = collect()
    assert f"3 changes did not reach {servers[1].url}, such as that of " in text
    assert "They are recorded; manage.py resto_drain sends them later." in text
    assert len(servers[0].files) == 3
    assert Pending.objects.count() == 3


@pytest.mark.django_db
def test_interruption_tells_what_was_done(use, servers, sources, monkeypatch):
    """Here each file is sent when the one before is there."""
    monkeypatch.setattr("resto.staticfiles.storage.CHUNK", 1)
    use()
    write(sources, **SITE)
    puts = []

    def interrupt(method, path):
        puts.extend([path] if method == "PUT" else [])
        if len(puts) == 5:
            signal.raise_signal(signal.SIGINT)

    servers[0].on_applied = servers[1].on_applied = interrupt
    with pytest.raises(CommandError) as caught:
        collect()
    servers[0].on_applied = servers[1].on_applied = None
    text = "Interrupted: 2 sent. The rest is recorded, and manage.py resto_drain sends it in 5 minutes."
    assert (str(caught.value), caught.value.returncode) == (text, 130)
    assert Pending.objects.exists()


def test_interruption_while_files_are_collected_sends_nothing(use, servers, sources, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    use()
    write(sources, **SITE)
    monkeypatch.setattr(of_resto.Command, "copy_file", interrupt)
    with pytest.raises(
        CommandError, match=r"^Interrupted: nothing was sent\. Nothing is recorded: run this again, with --clear\.$"
    ):
        collect()
    assert [server.files for server in servers] == [{}, {}]


def test_progress_is_shown_at_the_end(use, sources, monkeypatch):
    use()
    write(sources, **SITE)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    collect()
    assert "| 3 of 3 files, 74 bytes sent [" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_wrong_options_are_told_before_anything_is_written(use, servers, sources, tmp_path):
    use(hosts=[])
    write(sources, **SITE)
    with pytest.raises(CommandError, match=r"STORAGES\['staticfiles'\]: no hosts"):
        collect()
    assert not (tmp_path / "static").exists()


def test_other_storages_are_left_to_django(settings, sources, tmp_path, use):
    use("django.contrib.staticfiles.storage.StaticFilesStorage")
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    write(sources, **SITE)
    collect(link=True)
    assert (tmp_path / "static" / "site.css").is_symlink()


def test_command_takes_the_place_of_that_of_django(sources):
    management.get_commands.cache_clear()
    try:
        assert management.get_commands()["collectstatic"] == "resto.staticfiles"
    finally:
        management.get_commands.cache_clear()


def test_host_that_is_down_without_a_record(use, servers, sources):
    """The next run makes up for it."""
    use()
    write(sources, **SITE)
    servers[1].refuse = True
    with pytest.raises(CommandError, match="Nothing is recorded: run this again when all hosts are there"):
        collect()
    servers[1].refuse = False
    health.forget()
    later(sources)
    collect()
    assert servers[1].files == servers[0].files


def test_it_asks_what_django_asks(use, sources, tmp_path, monkeypatch):
    """Nothing for a directory without files; before it overwrites some, with the path of the directory."""
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "yes")
    use()
    write(sources, **SITE)

    call_command(of_resto.Command(), interactive=True, stdout=io.StringIO())
    assert asked == []

    call_command(of_resto.Command(), interactive=True, stdout=io.StringIO())
    (question,) = asked
    assert f"    {tmp_path / 'static'}\n" in question
    assert "This will overwrite existing files!" in question


@pytest.mark.parametrize("backend", [PLAIN, MANIFEST])
def test_no_hosts_on_purpose(use, sources, tmp_path, backend):
    use(backend, hosts="none")
    write(sources, **SITE)
    sentence = "STORAGES['staticfiles'] has no hosts on purpose, as hosts is 'none': files are in the master copy only."
    output = collect()
    assert output.splitlines()[0] == sentence
    assert " published" not in output
    assert (tmp_path / "static" / "site.css").exists()
    assert sentence not in collect(verbosity=0)

"""The probe: real servers, well configured and not; bad weather; and whatever a plugin may do."""

import base64
import io

import pytest
from django.core.files.storage import default_storage
from hypothesis import given
from hypothesis import strategies as st

from kit.documents import ROOT, load_module
from kit.kinds import KINDS
from kit.servers import PASSWORD, USERNAME
from resto.exceptions import HostUnavailableError, RemoteFileNotFoundError, TransportError, UnexpectedStatusCode
from resto.names import TEMPORARY_PREFIX
from resto.repair import probe
from resto.repair.probe import HostProbe, probe_hosts
from resto.transports import Directory, Transport


ELSEWHERE = "192.0.2.1"  # an address of nobody (RFC 5737)
OPEN = "No credentials are configured: any machine whose address the host accepts can write there."
KEPT = "The empty directory '.resto-probe' may stay on the host, where resto removes no directories; each probe uses the same."
IN_PLACE = "While a file is replaced, the old one is not served"
SECRET = "a secret that nobody must read"

pytestmark = pytest.mark.usefixtures("configure")


@pytest.fixture
def configure(settings, media_root):
    """A function: hosts and options of a storage -> ``STORAGES`` has it."""

    def change(
        *hosts, backend="HybridStorage", transport="webdav", executor="thread", executor_options=None, **options
    ):
        settings.STORAGES = {
            "default": {
                "BACKEND": f"resto.storage.{backend}",
                "OPTIONS": {
                    "hosts": hosts,
                    "transport": transport,
                    "transport_options": options,
                    "executor": executor,
                    "executor_options": executor_options or {},
                },
            }
        }

    return change


@pytest.fixture
def examine(configure):
    """A function: a host and options of a storage -> what the probe of the host finds."""

    def run(host, **options) -> HostProbe:
        configure(host, **options)
        (found,) = probe_hosts()
        assert (found.storage, found.host) == ("default", host)
        assert_sentences(found)
        return found

    return run


def assert_sentences(found):
    for sentence in [found.problem, *found.remarks]:
        assert sentence == "" or sentence.endswith((".", "?"))
        assert "\n" not in sentence
        assert SECRET not in sentence
        assert PASSWORD not in sentence
        assert base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode() not in sentence
    assert "" not in found.remarks


def credentials_of(server):
    options = {"auth": server.credentials, "auth_scheme": server.kind.auth} if server.kind.auth else {}
    return options | ({"ca_bundle": str(server.ca)} if server.kind.tls else {})


# Real servers, as the documentation configures them.


@pytest.mark.parametrize(
    ("kind", "transport"),
    [(kind, "webdav") for kind in KINDS] + [(kind, "http") for kind, spec in KINDS.items() if spec.makes_parents],
)
def test_server_that_is_configured_well(kind, transport, media_servers, examine):
    server = media_servers(kind)
    url, folder = server.new_folder()
    found = examine(url, transport=transport, **credentials_of(server))
    assert found.problem == ""
    remarks = list(found.remarks)
    if transport == "webdav" and not server.kind.propfind:
        remark = remarks.pop(0)
        assert remark.startswith("Its directories cannot be listed: PROPFIND was answered 405 Method Not Allowed: ")
        assert "nginx needs its dav_ext module" in remark
    if server.kind.program == "rclone":
        assert remarks.pop(0).startswith(
            "Where a directory has the name of a file that is deleted, the host would delete all"
        )
    if kind == "rclone":
        assert remarks.pop(0).startswith("Names that differ by the form of Unicode only")
    assert remarks == ([] if server.kind.auth else [OPEN])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["rclone", "rclone-1.60", "wsgidav"])
def test_server_that_writes_in_place(kind, media_servers, examine):
    url, folder = media_servers(kind).new_folder()
    found = examine(url, publish="put")
    assert found.problem == ""
    assert found.remarks[0].startswith(IN_PLACE)
    assert list(folder.iterdir()) == []


# Real servers, misconfigured.

MKCOL_OR_PARENTS = "nginx: create_full_put_path on"
DAV = "dav_methods PUT DELETE MKCOL MOVE;"
SERVER = "min_delete_depth 1;"
PARENTS = "create_full_put_path on;"


@pytest.mark.parametrize(
    ("kind", "transport", "edits", "answer", "advice"),
    [
        ("nginx", "http", {DAV: ""}, "written: PUT was answered 405", "dav_methods PUT DELETE"),
        ("nginx", "http", {DAV: "dav_methods PUT;"}, "deleted: DELETE was answered 405", "dav_methods"),
        ("nginx", "http", {"min_delete_depth 1;": "min_delete_depth 9;"}, "deleted: DELETE was answered 409", "min_delete_depth"),
        ("nginx", "http", {"client_max_body_size 0;": ""}, "2 MiB: PUT was answered 413", "client_max_body_size"),
        ("nginx", "http", {PARENTS: "return 301 https://media.example.com$request_uri;"}, "read: HEAD was answered 301", "redirects to"),
        ("nginx", "http", {SERVER: "return 301 https://media.example.com$request_uri;"}, "written: PUT was answered 301", "redirects to"),
        ("nginx", "http", {SERVER: "return 200;"}, "written: PUT was answered 200 OK", "something else than the media server"),
        ("nginx-no-parents", "http", {}, "new directory: PUT was answered 500", MKCOL_OR_PARENTS),
        ("nginx-no-parents", "webdav", {DAV: "dav_methods PUT DELETE;"}, "new directory: PUT was answered 500", "let it MKCOL"),
        ("nginx-dav", "webdav", {"client_max_body_size 0;": ""}, "2 MiB: PUT was answered 413", "client_max_body_size"),
        ("apache", "webdav", {"Dav On": "Dav Off"}, "written: PUT was answered 405", "Dav On"),
        ("apache", "webdav", {"LimitRequestBody 0": "LimitRequestBody 1000000"}, "2 MiB: PUT was answered 413", "LimitRequestBody"),
        ("lighttpd", "webdav", {'is-readonly = "disable"': 'is-readonly = "enable"'}, "written: PUT was answered 403", "let the server take"),
    ],
)  # fmt: skip
def test_server_that_is_misconfigured(kind, transport, edits, answer, advice, start_server, examine):
    server = start_server(kind, edits)
    found = examine(server.url, transport=transport)
    assert answer in found.problem
    assert advice in found.problem
    left = [path.name for path in server.root.iterdir()]
    assert left == [] if "deleted" not in answer else len(left) == 1
    assert [f"The probe has left {name!r} on the host: remove it there." for name in left] == list(found.remarks)


@pytest.mark.parametrize(
    ("kind", "status"), [("apache", 409), ("lighttpd", 409), ("rclone", 409), ("rclone-1.60", 404)]
)
def test_plain_http_where_folders_are_made_with_mkcol(kind, status, media_servers, examine):
    url, folder = media_servers(kind).new_folder()
    found = examine(url, transport="http")
    assert f"into a new directory: PUT was answered {status}" in found.problem
    assert "take the transport 'webdav'" in found.problem
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["nginx", "nginx-dav", "apache", "lighttpd"])
def test_machine_that_must_not_write(kind, start_server, examine):
    found = examine(start_server(kind, writers=ELSEWHERE).url)
    assert "A file cannot be written: " in found.problem
    assert "403 Forbidden; let the server take this from this machine's address" in found.problem


@pytest.mark.parametrize("kind", ["nginx", "apache", "lighttpd"])
def test_folder_that_the_server_may_not_write_to(kind, start_server, examine):
    server = start_server(kind)
    folder = server.root / "closed"
    folder.mkdir(mode=0o555)
    found = examine(f"{server.url}closed/")
    assert "A file cannot be written: PUT was answered 500" in found.problem
    assert "may the server's user write to the directory" in found.problem


@pytest.mark.parametrize(
    ("kind", "status"), [("nginx-no-parents", 500), ("apache", 409), ("lighttpd", 409), ("wsgidav", 409)]
)
def test_missing_directory_of_the_url(kind, status, media_servers, examine):
    url, folder = media_servers(kind).new_folder()
    found = examine(f"{url}missing/", publish="put")
    assert f"A file cannot be written: PUT was answered {status}" in found.problem
    assert "the directory of the host's URL" in found.problem
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("nginx-https", {}),
        ("nginx-https", {"auth": (USERNAME, "wrong")}),
        ("apache-digest", {"auth": (USERNAME, "wrong"), "auth_scheme": "digest"}),
        ("apache-digest", {"auth": (USERNAME, PASSWORD)}),
    ],
)
def test_wrong_credentials(kind, options, media_servers, examine):
    server = media_servers(kind)
    found = examine(server.url, **({"ca_bundle": str(server.ca)} if server.kind.tls else {}), **options)
    assert "A file cannot be written: PUT was answered 401 Unauthorized; name its credentials" in found.problem
    assert "'auth_scheme' to 'digest'" in found.problem
    assert found.remarks == ()


@pytest.mark.parametrize("transport", ["http", "webdav"])
def test_credentials_that_the_server_does_not_ask_for(transport, media_servers, examine):
    url, folder = media_servers("nginx-dav").new_folder()
    found = examine(url, transport=transport, auth=(USERNAME, PASSWORD))
    assert found.problem.startswith("Anyone can write there: credentials are configured")
    assert list(folder.iterdir()) == []


def test_client_certificate_is_a_credential(media_servers, examine):
    server = media_servers("nginx-https")
    url, folder = server.new_folder()
    options = {"ca_bundle": str(server.ca), "client_cert": str(server.client_certificate)}
    assert examine(url, **options) == HostProbe("default", url, "")
    assert list(folder.iterdir()) == []


def test_nginx_before_a_server_that_writes_in_place(start_server, media_servers, examine):
    url, folder = media_servers("rclone").new_folder()
    hand_over = f"proxy_pass {url.rstrip('/')}; proxy_request_buffering off; proxy_http_version 1.1;"
    hand_over = hand_over.replace(url.rstrip("/"), url.split("/f")[0])
    server = start_server("nginx", {DAV: hand_over, PARENTS: "", "autoindex on;": hand_over})
    found = examine(url.replace(url.split("/f")[0] + "/", server.url))
    assert found.problem == ""
    assert found.remarks[0].startswith(IN_PLACE)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "cause"), [("", "502"), ("proxy_set_header Host $http_host;", "does not have it there")]
)
def test_nginx_that_takes_off_a_part_of_the_path(start_server, examine, more, cause):
    backend = start_server("rclone")
    backend.request("MKCOL", "/files/")
    location = f"location /files/ {{ proxy_pass {backend.url}; {more} }} location / {{"
    server = start_server("nginx", {"location / {": location})
    found = examine(f"{server.url}files/", publish="move")
    assert cause in found.problem
    assert "Destination" in found.problem
    assert [path.name for path in backend.root.rglob("*")] == ["files"]


# One host must not answer for another.


def test_fallback_to_another_host(start_server, resto_server_factory, configure):
    other = resto_server_factory()
    answer = f"location @other {{ proxy_pass {other.url.rstrip('/')}; }} location / {{ error_page 404 = @other;"
    server = start_server("nginx-dav", {"location / {": answer})
    configure(server.url, other.url)
    first, second = probe_hosts()
    assert first.problem == ""
    assert second.problem.startswith(f"A file that was written here only is shown by {server.url}, too")
    assert "a fallback or a balancer" in second.problem
    assert dict(other.files) == {}


def test_two_names_of_one_server(resto_server, configure):
    configure(resto_server.url, resto_server.url.replace("127.0.0.1", "localhost"))
    assert all("is that the same server" in found.problem for found in probe_hosts())
    assert dict(resto_server.files) == {}


def test_hosts_of_their_own(resto_server_factory, configure):
    configure(*[resto_server_factory().url for _ in range(3)])
    assert [found.problem for found in probe_hosts()] == [""] * 3


# Bad weather.


@pytest.fixture
def quick(monkeypatch):
    """The probe looks once at a file that is being replaced."""
    monkeypatch.setattr(probe, "_LOOKS", (0,))


@pytest.fixture
def server(resto_server_factory, quick):
    return resto_server_factory(webdav=False)


def test_host_that_is_down(server, examine):
    server.refuse = True
    assert examine(server.url, transport="http") == HostProbe(
        "default", server.url, "A file cannot be written: connection refused; is the server running, and is this its address?"
    )  # fmt: skip


def test_hosts_are_probed_whatever_their_breakers_say(server, configure):
    configure(server.url, transport="http")
    server.refuse = True
    for _ in range(4):
        (found,) = probe_hosts()
    server.refuse = False
    (found,) = probe_hosts()
    assert found.problem == ""


def test_host_that_is_silent(server, examine):
    server.hang = True
    assert "no answer within 0.1 s; is the server running" in examine(server.url, transport="http", timeout=0.1).problem


def test_upload_that_lands_without_an_answer_is_removed(server, examine):
    server.fault_methods, server.drop_answer = {"PUT"}, True
    assert "the connection broke before an answer" in examine(server.url, transport="http").problem
    assert server.files == {}
    assert "DELETE" in [request.method for request in server.requests]


def test_long_upload_that_is_broken_off(server, examine):
    server.fault_methods, server.reset_after = {"PUT"}, 100_000
    found = examine(server.url, transport="http")
    assert "A file cannot be replaced by one of 2 MiB" in found.problem
    assert "end long uploads" in found.problem
    assert server.files == {}


def test_host_that_keeps_a_part(server, examine):
    server.truncate_upload = 1000
    assert "it stored 1,000 of 2,097,152 bytes" in examine(server.url, transport="http").problem
    assert server.files == {}


def test_host_that_answers_other_bytes(server, examine):
    def change(method, path):
        if method == "GET":
            server.create_file(path[1:], bytes(64))

    server.on_request = change
    assert "cannot be read: the host answers something else" in examine(server.url, transport="http").problem
    assert server.files == {}


def test_host_that_reads_from_elsewhere(server, examine):
    server.on_applied = lambda method, path: method == "PUT" and server.delete_file(path[1:])
    found = examine(server.url, transport="http")
    assert "cannot be read: it does not have this file; does the server read from another directory" in found.problem


def test_host_that_keeps_what_it_deletes(server, examine):
    first = []

    def keep(method, path):
        if method == "PUT":
            first.append(path)
        elif method == "DELETE" and path == first[0]:
            server.create_file(path[1:], b"again")

    server.on_applied = keep
    found = examine(server.url, transport="http")
    (left,) = server.files
    assert f"the host says that {left!r} is gone, and that it is there" in found.problem


def test_application_that_answers_everything(server, examine):
    server.override_code = 200
    found = examine(server.url, transport="http")
    assert "something else than the media server answers" in found.problem


def test_upload_in_place(resto_server_factory, quick, examine):
    server = resto_server_factory(webdav=False, in_place=True)
    assert examine(server.url, transport="http").remarks[0].startswith(IN_PLACE)


def test_directory_that_the_server_does_not_remove(server, examine, monkeypatch):
    monkeypatch.setattr(server.site, "_removes", lambda request: False)
    found = examine(server.url, transport="http")
    assert found.problem == ""
    assert found.remarks[0] == OPEN
    assert found.remarks[1].startswith(f"The probe has left '{TEMPORARY_PREFIX}")
    assert server.files == {}


def test_each_host_is_told_apart(resto_server_factory, server, configure):
    other = resto_server_factory(webdav=False)
    other.readonly = True
    configure(server.url, other.url, transport="http")
    assert [found.problem[:24] for found in probe_hosts()] == ["", "A file cannot be written"]
    assert probe_hosts(["other"]) == []


def test_host_that_deletes_directories(resto_server_factory, examine, configure):
    server = resto_server_factory(webdav=False, deletes_trees=True)
    found = examine(server.url, transport="http")
    assert found.problem == ""
    assert found.remarks[0].startswith(
        "Where a directory has the name of a file that is deleted, the host would delete all"
    )
    assert server.files == {}


def test_host_where_directories_cannot_be_tried(resto_server_factory, examine):
    server, seen = resto_server_factory(), set()

    def answer(method, path):
        server.override_code = 200 if method == "HEAD" and path not in seen else None
        seen.add(path)

    server.on_request = answer
    found = examine(server.url, transport="webdav")
    assert found.problem == ""
    assert found.remarks[0].startswith("What the host does with the name of a directory cannot be found out")


def test_host_where_nothing_can_be_deleted(resto_server_factory, examine):
    server = resto_server_factory(webdav=False, deletes_trees=True, dates_directories=True)
    found = examine(server.url, transport="http")
    assert found.problem.startswith("A file cannot be deleted: it is not certain that this is a file there")
    assert "the transport 'webdav' can ask" in found.problem


# Plugins.


class Shelf(Transport):
    """Files in memory, with the plain methods of the contract only."""

    def __init__(self, base_url, *, timeout, files):
        super().__init__(base_url, timeout=timeout)
        self.files = files

    def open(self, host, name):
        return io.BytesIO(self._find(host, name))

    def exists(self, host, name):
        return name in self.files

    def size(self, host, name):
        return len(self._find(host, name))

    def create(self, host, name, content):
        existed = name in self.files
        self.files[name] = content if isinstance(content, bytes) else content.read()
        return existed

    def delete(self, host, name):
        return self.files.pop(name, None) is not None

    def _find(self, host, name):
        if name not in self.files:
            raise RemoteFileNotFoundError(host, name, "download", "it does not have this file")
        return self.files[name]


@pytest.mark.parametrize(
    ("backend", "executor", "executor_options"),
    [
        ("HybridStorage", "thread", {}),
        ("HybridStorage", "inline", {}),
        ("DistributedStorage", "thread", {}),
        ("AsyncStorage", "thread", {}),
        ("AsyncStorage", "rq", {"url": "redis://127.0.0.1:9/"}),
    ],
)
def test_plain_transport_with_any_storage_and_executor(backend, executor, executor_options, examine):
    files = {"a": b"1"}
    found = examine(
        "host", backend=backend, executor=executor, executor_options=executor_options, transport=Shelf, files=files
    )
    assert found == HostProbe("default", "host", "", (KEPT,))
    assert files == {"a": b"1"}


@pytest.fixture
def add_folder(configure, tmp_path):
    """Make hosts of folders, with the transport of the docs, which removes directories or not."""
    folder = load_module(ROOT / "docs" / "write-a-transport.md", "resto_folder")

    class Keeping(folder.FolderTransport):
        remove_directory = Transport.remove_directory

    def add(*names, keeps):
        folders = [tmp_path / name for name in names]
        for one in folders:
            one.mkdir(exist_ok=True)
        configure(*map(str, folders), transport=Keeping if keeps else folder.FolderTransport)
        return folders

    return add


def test_directories_do_not_pile_up(add_folder, settings):
    (folder,) = add_folder("media", keeps=True)
    settings.STORAGES = dict.fromkeys(("default", "another", "yet-another"), settings.STORAGES["default"])
    for _ in range(3):
        assert probe_hosts() == [HostProbe(alias, str(folder), "", (KEPT,)) for alias in settings.STORAGES]
    assert [path.name for path in folder.iterdir()] == [".resto-probe"]
    assert [*(folder / ".resto-probe").iterdir()] == []


def test_directory_is_removed_where_a_transport_can(add_folder):
    (folder,) = add_folder("media", keeps=False)
    assert probe_hosts() == [HostProbe("default", str(folder), "")]
    assert [*folder.iterdir()] == []


def test_store_without_directories_keeps_none(fussy, monkeypatch):
    """It has names with slashes only, and says that it has no directory of that name once no file is in it."""
    monkeypatch.setattr(fussy, "remove_directory", lambda host, name: False)
    monkeypatch.setattr(fussy, "browse", lambda host, name: fussy._find(host, name))
    assert probe_hosts() == [HostProbe("default", "host", "")]
    assert of(fussy, "listdir") == [".resto-probe"]


def test_directory_that_is_not_removed_after_all_is_named(fussy, monkeypatch):
    answers = iter([True, False])
    monkeypatch.setattr(fussy, "remove_directory", lambda host, name: next(answers))
    ((remark,),) = [found.remarks for found in probe_hosts()]
    (directory,) = set(of(fussy, "listdir"))
    assert remark == f"The probe has left {directory!r} on the host: remove it there."


REFUSED = HostUnavailableError("host", "name", "upload", "connection refused")
FORBIDDEN = UnexpectedStatusCode("host", "name", "delete", 403, "DELETE was answered 403 Forbidden")


class Fussy(Shelf):
    """A shelf with all that a transport may do, which notes what it is asked for, and can be told to fail."""

    supports_listdir = True

    def __init__(self, base_url, *, timeout, files):
        super().__init__(base_url, timeout=timeout, files=files)
        self.calls = []
        self.stranger = None
        self.closed = False
        self.fail = lambda method, name: None

    def _note(self, method, name):
        self.calls.append((method, name))
        error = self.fail(method, name)
        if error is not None:
            raise error

    def create(self, host, name, content):
        self._note("create", name)
        return super().create(host, name, content)

    def delete(self, host, name):
        self._note("delete", name)
        return super().delete(host, name)

    def listdir(self, host, name):
        self._note("listdir", name)
        return [], [path.rpartition("/")[2] for path in self.files if path.startswith(f"{name}/")]

    def remove_directory(self, host, name):
        self._note("remove_directory", name)
        for path in [path for path in self.files if path.startswith(f"{name}/")]:
            del self.files[path]
        return True

    def without_credentials(self):
        return self.stranger

    def close(self):
        self.closed = True


@pytest.fixture
def fussy(configure):
    configure("host", transport=Fussy, files={})
    return default_storage.transport_for("host")


def of(fussy, method):
    return [name for called, name in fussy.calls if called == method]


def test_nothing_is_asked_for_twice(fussy):
    assert probe_hosts() == [HostProbe("default", "host", "")]
    name, below, _, accented = of(fussy, "create")
    assert of(fussy, "create") == [name, below, below, accented]
    assert of(fussy, "delete") == [name, below, accented]
    directory = below.rpartition("/")[0]
    assert of(fussy, "listdir") == [directory]
    assert of(fussy, "remove_directory") == [directory] * 2  # the first asks whether it removes directories
    assert fussy.files == {}


def test_file_that_is_not_replaced_is_removed(fussy):
    fussy.fail = lambda method, name: REFUSED if len(of(fussy, "create")) == 3 and method == "create" else None
    fussy.remove_directory = lambda host, name: False
    (found,) = probe_hosts()
    assert "2 MiB: connection refused; does the server, or a proxy before it, end long uploads" in found.problem
    assert fussy.files == {}


def test_directory_that_was_made_for_nothing_is_removed(fussy):
    fussy.fail = lambda method, name: FORBIDDEN if method == "create" and "/" in name else None
    (found,) = probe_hosts()
    assert "A file cannot be written into a new directory" in found.problem
    assert len(of(fussy, "remove_directory")) == 2
    assert found.remarks == ()


def test_file_that_goes_with_its_directory_is_not_left(fussy):
    fussy.fail = lambda method, name: FORBIDDEN if method == "delete" and "/" in name else None
    (found,) = probe_hosts()
    assert found.problem.startswith("A file cannot be deleted: DELETE was answered 403 Forbidden; let the server")
    assert found.remarks == ()
    assert fussy.files == {}


def test_part_of_a_file_is_found(fussy, monkeypatch):
    monkeypatch.setattr(
        fussy,
        "create",
        lambda host, name, content: fussy.files.update(
            {name: bytes(content)[:1000] if isinstance(content, bytes) else content.read(1000)}
        ),
    )
    (found,) = probe_hosts()
    assert "the host has kept 1000 of 2097152 bytes; is its disk full?" in found.problem


@pytest.mark.parametrize(
    ("listed", "remarks"),
    [(["more"], []), ([], ["Its directories cannot be listed: a file that is there is not listed."])],
)
def test_listing_that_leaves_files_out(fussy, monkeypatch, listed, remarks):
    listdir = fussy.listdir
    monkeypatch.setattr(fussy, "listdir", lambda host, name: ([], [*listdir(host, name)[1], *listed] if listed else []))
    assert [list(found.remarks) for found in probe_hosts()] == [remarks]


def test_what_a_stranger_writes_is_removed_or_named(fussy):
    fussy.stranger = Fussy("/", timeout=1, files=fussy.files)
    fussy.fail = lambda method, name: FORBIDDEN if method == "delete" and len(of(fussy, "delete")) > 3 else None
    (found,) = probe_hosts()
    (left,) = fussy.files
    assert found.problem.startswith("Anyone can write there")
    assert found.remarks == (f"The probe has left {left!r} on the host: remove it there.",)
    assert fussy.stranger.closed


def test_stranger_who_is_refused(fussy):
    fussy.stranger = Fussy("/", timeout=1, files=fussy.files)
    fussy.stranger.fail = lambda method, name: FORBIDDEN
    assert probe_hosts() == [HostProbe("default", "host", "")]
    assert fussy.stranger.closed


class Dripping(io.BytesIO):
    """A stream that gives a byte at a time."""

    def read(self, size=-1, /):
        return super().read(min(size, 1))


class Endless(io.RawIOBase):
    """A stream that has no end."""

    def read(self, size=-1, /):
        return b"a" * size


@pytest.mark.parametrize(
    ("stream", "problem"), [(Dripping, ""), (lambda content: Endless(), "the host answers something else")]
)
def test_streams_of_all_kinds(fussy, monkeypatch, stream, problem):
    monkeypatch.setattr(fussy, "open", lambda host, name: stream(fussy.files[name]))
    (found,) = probe_hosts()
    assert problem in found.problem
    assert bool(problem) is bool(found.problem)


def test_host_that_is_no_server_gets_no_advice_for_servers(add_folder, fussy, monkeypatch):
    fussy.fail = lambda method, name: REFUSED if method == "create" else None
    assert [found.problem for found in probe_hosts()] == ["A file cannot be written: connection refused."]
    fussy.fail = lambda method, name: None
    monkeypatch.setattr(fussy, "open", lambda host, name: io.BytesIO(b"else"))
    assert [found.problem for found in probe_hosts()] == [
        "A file that was written cannot be read: the host answers something else."
    ]
    monkeypatch.setattr(fussy, "size", lambda host, name: fussy._find(host, "elsewhere"))
    assert [found.problem for found in probe_hosts()] == [
        "A file that was written cannot be read: it does not have this file; "
        "does the host read from another place than it writes to?"
    ]
    (folder,) = add_folder("media", keeps=False)
    folder.rmdir()
    assert [found.problem for found in probe_hosts()] == ["A file cannot be written: it is not mounted."]


def test_what_is_nobodys_fault_is_a_sentence_too(fussy, monkeypatch):
    monkeypatch.setattr(fussy, "without_credentials", lambda: 1 / 0)
    (found,) = probe_hosts()
    assert found.problem == (
        "It cannot be probed: the transport raised ZeroDivisionError, which it must not; look for a newer version of it."
    )


METHODS = ("open", "exists", "size", "create", "delete", "listdir", "browse", "remove_directory", "without_credentials")

FAILURES = st.sampled_from(
    [
        TransportError("host", "name", "upload", "it failed"),
        UnexpectedStatusCode("host", "name", "upload", 418, "PUT was answered 418 I'm a Teapot: it is short and stout"),
        RemoteFileNotFoundError("host", "name", "download", "it does not have this file"),
        HostUnavailableError("host", "name", "upload", "no answer", ambiguous=True),
        HostUnavailableError("host", "name", "upload", "connection refused"),
        RuntimeError(SECRET),
        OSError(5, SECRET),
    ]
)
JUNK = st.sampled_from([None, True, False, 0, -1, "junk", b"junk", [], ([], []), Directory(files={"a": None})])
BEHAVIOUR = st.one_of(st.just("works"), st.just("works"), FAILURES, JUNK)


class Moody(Shelf):
    """A shelf each of whose methods does at each call what it is told."""

    supports_listdir = True

    draw = None

    def listdir(self, host, name):
        return [], [path.rpartition("/")[2] for path in self.files if path.startswith(f"{name}/")]


def _moody(method):
    def call(self, *args):
        behaviour = self.draw()
        if isinstance(behaviour, BaseException):
            raise behaviour
        if isinstance(behaviour, str) and behaviour == "works":
            return getattr(super(Moody, self), method)(*args)
        return behaviour

    return call


for _method in METHODS:
    if _method != "listdir":
        setattr(Moody, _method, _moody(_method))


@given(data=st.data())
def test_whatever_a_transport_does_there_is_a_sentence(data, moody):
    moody.files.clear()
    moody.files.update(mine := {"a": b"1", "d/probe": b"2"})
    moody.draw = lambda: data.draw(BEHAVIOUR)
    (found,) = probe_hosts()
    assert_sentences(found)
    assert moody.files.items() >= mine.items()
    assert all(name.startswith(TEMPORARY_PREFIX) for name in set(moody.files) - set(mine))


@pytest.fixture
def moody(configure):
    # Configured once: settings that are changed thousands of times do not end well.
    configure("host", transport=Moody, files={})
    return default_storage.transport_for("host")


STATUSES = st.sampled_from(
    [None, None, None, 200, 201, 204, 301, 400, 401, 403, 404, 405, 409, 410, 412, 413, 423, 500, 507]
)
FAULTS = st.fixed_dictionaries(
    {
        "fault_methods": st.none() | st.sets(st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "MKCOL", "MOVE", "PROPFIND"])),
        "refuse_code": STATUSES,
        "override_code": STATUSES,
        "readonly": st.booleans(),
        "disk_full": st.booleans(),
        "redirect": st.sampled_from([None, None, "http://127.0.0.1:9/elsewhere", "https://media.example.com/"]),
        "drop_answer": st.booleans(),
        "reset_after": st.sampled_from([None, None, 0, 10, 100_000]),
        "wrong_length": st.sampled_from([0, 0, -1, 1]),
        "truncate_upload": st.sampled_from([None, None, 0, 10, 100_000]),
    }
)  # fmt: skip


@given(faults=FAULTS, alias=st.sampled_from(["http", "webdav", "in-place"]), wants=st.booleans())
def test_whatever_a_host_does_there_is_a_sentence(faults, alias, wants, moody_servers):
    server = moody_servers[alias]
    server.heal()
    server.credentials = (USERNAME, PASSWORD) if wants else None
    for name, value in faults.items():
        setattr(server, name, value)
    (found,) = probe_hosts([alias])
    assert (found.storage, found.host) == (alias, server.url)
    assert_sentences(found)
    assert server.get_file("mine") == b"mine"


@pytest.fixture
def moody_servers(resto_server_factory, quick, monkeypatch, settings):
    monkeypatch.setattr("resto.transports.steps.LOCK_DELAYS", (0,))
    servers = {
        "http": resto_server_factory(webdav=False),
        "webdav": resto_server_factory(),
        "in-place": resto_server_factory(in_place=True),
    }
    for server in servers.values():
        server.create_file("mine", b"mine")
    settings.STORAGES = {
        alias: {
            "BACKEND": "resto.storage.HybridStorage",
            "OPTIONS": {
                "hosts": [server.url],
                "transport": "http" if alias == "http" else "webdav",
                "transport_options": {"auth": (USERNAME, PASSWORD)},
            },
        }
        for alias, server in servers.items()
    }
    return servers


def test_host_that_does_not_tell_upper_from_lower_case(resto_server_factory, examine):
    found = examine(resto_server_factory(folds_case=True).url)
    assert found.problem == ""
    assert found.remarks[0].startswith("Names that differ by upper and lower case only are one file there")


def test_host_that_takes_both_forms_of_unicode_for_one(resto_server_factory, examine):
    server = resto_server_factory(folds_forms=True)
    found = examine(server.url)
    assert found.problem == ""
    assert found.remarks[0].startswith("Names that differ by the form of Unicode only")
    assert server.files == {}

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.documents import ROOT, read_blocks
from kit.steps import ACTION, DATE, acquainted, listed, properties, run, sent
from resto.exceptions import (
    HostUnavailableError,
    RemoteDirectoryError,
    TransportError,
    UnexpectedStatusCode,
)
from resto.transports import webdav
from resto.transports.acquaintance import Acquaintance
from resto.transports.bodies import Body
from resto.transports.failures import too_late
from resto.transports.messages import NoAnswerError, Response
from resto.transports.publishing import MovedElsewhereError, Unpublished


SMALL = b"content"
BROKEN = NoAnswerError("broken", ambiguous=True)
LATE = too_late(2, TimeoutError())


def told(size, **headers):
    return 200, {"Content-Length": str(size), **DATE, **headers}


def methods(server, *wanted):
    return [(method, path) for method, path, _ in server.log if not wanted or method in wanted]


@pytest.fixture
def in_place(resto_server_factory):
    """A server that writes uploads under their final name from the first byte."""
    return resto_server_factory(in_place=True)


@pytest.fixture
def dav(transport, in_place):
    """A transport that knows that this server moves uploads to where it is told."""
    dav = transport("webdav", timeout=1)
    dav.create(in_place.url, "known.txt", SMALL)
    in_place.log.clear()
    return dav


@pytest.fixture
def upload():
    return Unpublished(ACTION, Body(b"12345"))


# What is asked for


def test_a_new_file_costs_three_requests(dav, in_place):
    assert dav.create(in_place.url, "a.txt", SMALL) is False
    assert [method for method, _ in methods(in_place)] == ["PUT", "MOVE", "HEAD"]
    assert methods(in_place)[2] == ("HEAD", "/a.txt")


def test_before_it_replaces_a_file_an_upload_is_known_to_be_whole_and_to_be_moved_where_it_is_told(dav, in_place):
    assert dav.create(in_place.url, "known.txt", b"new") is True
    assert [method for method, _ in methods(in_place)] == ["PUT", "MOVE", "MOVE", "HEAD", "PROPFIND", "MOVE", "HEAD"]
    assert in_place.files == {"known.txt": b"new"}


def test_the_first_upload_is_moved_between_temporary_names(transport, in_place):
    dav = transport("webdav", publish="move")
    dav.create(in_place.url, "a/b.txt", SMALL)
    moves = [request for request in in_place.requests if request.method == "MOVE"]
    first, second = [request.headers["Destination"].removeprefix(in_place.url) for request in moves]
    assert re.fullmatch(r"a/\.resto-[0-9a-f]{16}", first)
    assert (moves[1].path, second) == (f"/{first}", "a/b.txt")
    assert {request.headers["Overwrite"] for request in moves} == {"F"}
    assert in_place.files == {"a/b.txt": SMALL}


def test_what_was_learned_of_a_host_is_not_believed_for_ever(dav, in_place, monkeypatch):
    monkeypatch.setattr(webdav, "_REHEARSED_FOR", 0)
    dav.create(in_place.url, "a.txt", SMALL)
    assert len(methods(in_place, "MOVE")) == 2


def test_size_that_is_told_too_early_is_asked_for_again(upload):
    """As rclone does, for a moment."""
    existed, requests = run(upload.publish(Acquaintance()), 201, told(2), told(5))
    assert existed is False
    assert [request.method for request in requests] == ["MOVE", "HEAD", "HEAD"]
    assert requests[2].delay > 0


def test_half_a_file_under_a_new_name_is_removed(upload):
    with pytest.raises(TransportError, match="it stored 2 of 5 bytes"):
        run(upload.publish(acquainted()), 201, told(2), told(2), told(2), 405, told(2), 204)


def test_a_size_that_is_not_told_is_no_proof(upload):
    with pytest.raises(TransportError, match="HEAD says no size"):
        run(upload.publish(Acquaintance()), 201, (200, DATE), 405, 403)


def test_a_size_that_head_does_not_tell_is_asked_for_by_propfind(upload):
    """Apache before a program, ASGIWebDAV."""
    for head in ((200, DATE), told(0), 500):
        _, requests = run(upload.publish(Acquaintance()), 201, head, properties(5))
        assert [request.method for request in requests] == ["MOVE", "HEAD", "PROPFIND"]


def test_what_is_not_dated_is_asked_for_by_propfind(upload):
    """As lighttpd does not date what it knows no type of."""
    _, requests = run(upload.publish(Acquaintance()), 204, (200, {"Content-Length": "5"}), listed(False))
    assert [request.method for request in requests] == ["MOVE", "HEAD", "PROPFIND"]
    with pytest.raises(RemoteDirectoryError, match="no file takes the place of one"):
        run(upload.publish(Acquaintance()), 204, (200, {"Content-Length": "5"}), listed(True))


def test_half_a_file_never_replaces_a_whole_one(dav, in_place):
    in_place.truncate_upload = 3
    with pytest.raises(TransportError, match="it stored 3 of 7 bytes"):
        dav.create(in_place.url, "known.txt", SMALL)
    assert in_place.files == {"known.txt": SMALL}


@pytest.mark.parametrize("name", ["known.txt", "new.txt"])
def test_an_upload_that_vanished_destroys_nothing(dav, in_place, name):
    """rclone and Caddy delete the destination of a MOVE whose source is missing, if it may be replaced."""
    in_place.on_applied = lambda method, path: method == "PUT" and in_place.delete_file(path.strip("/"))
    with pytest.raises(TransportError):
        dav.create(in_place.url, name, SMALL)
    assert all(request.headers["Overwrite"] == "F" for request in in_place.requests if request.method == "MOVE")
    assert in_place.files == {"known.txt": SMALL}


# Where it is not


def test_a_refusal_says_that_a_proxy_may_be_the_cause(dav, in_place):
    in_place.fault_methods = {"MOVE"}
    for code in (403, 409, 500, 502):
        in_place.refuse_code = code
        with pytest.raises(UnexpectedStatusCode, match=rf"MOVE was answered {code}.*proxy.*Destination"):
            dav.create(in_place.url, "a.txt", SMALL)
    assert list(in_place.files) == ["known.txt"]


@pytest.mark.parametrize(
    "answers", [[listed(True)], [405, (301, {"Location": f"{ACTION.target}/"})]], ids=["PROPFIND", "HEAD"]
)
def test_a_directory_that_is_in_the_way_is_named(upload, answers):
    """nginx says 409, as it does of proxies that change the path."""
    with pytest.raises(RemoteDirectoryError, match="no file takes the place of one"):
        run(upload.publish(Acquaintance()), 409, *answers)


def test_a_host_is_tried_anew_after_an_upload_that_is_elsewhere(dav, in_place):
    in_place.on_applied = lambda method, path: method == "MOVE" and in_place.delete_file("a.txt")
    with pytest.raises(MovedElsewhereError, match="a proxy in between"):
        dav.create(in_place.url, "a.txt", SMALL)
    in_place.on_applied = None
    in_place.log.clear()
    dav.create(in_place.url, "a.txt", SMALL)
    assert len(methods(in_place, "MOVE")) == 2


def test_what_is_not_there_is_not_replaced(upload):
    """Behind a proxy that was put there a moment ago, the file that is in the way is another one."""
    with pytest.raises(MovedElsewhereError):
        run(upload.publish(Acquaintance()), 412, 201, told(5), 404)


def test_a_file_is_replaced_where_a_refusal_to_do_so_is_a_part_of_the_answer(upload):
    """nephele says 412 of one member, and 207 of all; that the upload is still there, is looked at."""
    upload.is_whole = True
    existed, requests = run(upload.publish(Acquaintance()), 207, 201, told(5), listed(False), 204, told(5))
    assert existed is True
    assert [request.headers["Overwrite"] for request in requests if request.method == "MOVE"] == ["F", "F", "T"]


def test_a_part_of_an_answer_that_is_no_such_refusal_is_a_failure(upload):
    with pytest.raises(UnexpectedStatusCode, match="MOVE was answered 207"):
        run(upload.publish(Acquaintance()), 207, 201, told(5), 404)


def test_what_a_directory_got_is_removed(upload):
    """lighttpd moves a file into a directory of that name, and says so as if nothing were."""
    directory = 301, {"Location": f"{ACTION.target}/"}
    with pytest.raises(RemoteDirectoryError) as info:
        run(upload.publish(Acquaintance()), 204, directory)
    _, requests = run(upload.discard(info.value), 204)
    assert sent(requests) == [("DELETE", f"{ACTION.target}/{upload.name.rpartition('/')[2]}")]


# Where the answer is missing


def test_a_move_that_was_lost_is_sent_again_over_a_new_connection(upload):
    existed, requests = run(upload.publish(Acquaintance()), BROKEN, told(5), BROKEN, told(5), 201, told(5))
    assert existed is False
    assert [request.method for request in requests] == ["MOVE", "HEAD", "MOVE", "HEAD", "MOVE", "HEAD"]
    assert [request.is_fresh for request in requests if request.method == "MOVE"] == [False, True, True]


def test_a_move_that_was_carried_out_is_not_sent_again(upload):
    existed, requests = run(upload.publish(Acquaintance()), BROKEN, 404, told(5))
    assert existed is False
    assert sent(requests)[1:] == [("HEAD", upload.target), ("HEAD", ACTION.target)]


def test_a_move_that_may_still_be_carried_out_is_not_sent_again(upload):
    with pytest.raises(NoAnswerError) as info:
        run(upload.publish(Acquaintance()), LATE, told(5))
    assert info.value.problem.startswith("no answer within 2 s to MOVE; ")
    assert "'timeout' is too short" in info.value.problem
    assert info.value.ambiguous
    assert [*upload.discard(LATE)] == []


def test_moves_are_not_sent_for_ever(upload):
    upload.is_left = True
    with pytest.raises(NoAnswerError):
        run(upload.publish(Acquaintance()), *[BROKEN, told(5)] * 3)
    assert upload.is_left


def test_an_upload_that_is_under_neither_name_is_lost(upload):
    with pytest.raises(TransportError, match="under neither name"):
        run(upload.publish(Acquaintance()), BROKEN, 404, 404)


def test_a_host_that_is_gone_is_not_asked_again_and_again(upload):
    with pytest.raises(NoAnswerError) as info:
        run(upload.publish(Acquaintance()), BROKEN, LATE)
    assert info.value is BROKEN
    assert [*upload.discard(BROKEN)] == []


@pytest.mark.parametrize(
    ("fault", "name"), [("drop_idle", "new.txt"), ("drop_idle", "known.txt"), ("drop_answer", "new.txt")]
)
def test_connections_that_break_at_a_move_cost_nothing(dav, in_place, fault, name):
    in_place.fault_methods = {"MOVE"}
    setattr(in_place, fault, True)
    dav.create(in_place.url, name, b"new")
    assert in_place.files == {"known.txt": SMALL} | {name: b"new"}


@pytest.mark.parametrize("method", ["PUT", "MOVE"])
def test_an_upload_whose_answer_is_late_is_not_sent_again(dav, in_place, caplog, method):
    """The name that it has is nobody else's: if the size is right, it is all there."""
    in_place.fault_methods = {method}
    in_place.delay = 60
    assert dav.create(in_place.url, "a.txt", SMALL) is False
    assert in_place.files["a.txt"] == SMALL
    assert (
        f"{in_place.url} has stored a.txt, but did not answer within 1 s: the option 'timeout' is too short"
        in caplog.text
    )
    assert [request.method for request in in_place.requests].count("PUT") == 2  # with that of known.txt
    assert caplog.text.count("too short") == 1


def test_a_part_of_an_upload_is_removed(dav, in_place):
    in_place.reset_after = 50_000
    in_place.fault_methods = {"PUT"}
    with pytest.raises(HostUnavailableError):
        dav.create(in_place.url, "a.txt", bytes(100_000))
    assert list(in_place.files) == ["known.txt"]


# Whatever happens


@dataclass
class Host:
    """A host that loses requests and answers, cuts uploads, and is behind a proxy that leads moves astray."""

    faults: list[str]
    astray: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    under_way: list = field(default_factory=list)

    def answer(self, request):
        fault = self.next_fault()
        if request.idempotent and fault in ("lost", "unanswered"):
            fault = self.next_fault()  # a wire sends it once more
        if fault in ("lost", "late"):
            if fault == "late":
                self.under_way.append(request)
            raise LATE if fault == "late" else BROKEN
        status, headers, *stream = self.carry_out(request)
        if fault in ("unanswered", "slow"):
            raise LATE if fault == "slow" else BROKEN
        return Response(status, "", headers, *stream)

    def next_fault(self):
        return self.faults.pop(0) if self.faults else ""

    def carry_out(self, request):
        path, files = request.target, self.files
        if request.method == "MOVE":
            return self.move(request)
        if request.method == "DELETE":
            return (404 if files.pop(path, None) is None else 204), {}
        if path not in files:
            return 404, {}
        if request.method == "PROPFIND":
            return listed(False)
        return told(len(files[path]))

    def move(self, request):
        target = request.headers["Destination"].removeprefix("http://media-1")
        target = f"/elsewhere{target}" if self.astray else target
        if request.headers["Overwrite"] == "F" and target in self.files:
            return 412, {}
        content = self.files.pop(request.target, None)
        if content is None:
            self.files.pop(target, None)  # as rclone and Caddy
            return 404, {}
        existed = target in self.files
        self.files[target] = content
        return (204 if existed else 201), {}

    def run(self, sequence):
        request = next(sequence)
        try:
            while True:
                try:
                    response = self.answer(request)
                except NoAnswerError as error:
                    request = sequence.throw(error)
                else:
                    request = sequence.send(response)
        except StopIteration as stop:
            return stop.value


def publish(host, content, *, is_cut):
    upload = Unpublished(ACTION, Body(content))
    host.files[upload.target] = content[: len(content) // 2] if is_cut else content
    upload.is_left = True

    def sequence():
        try:
            yield from upload.rehearse()
            return (yield from upload.publish(Acquaintance()))
        except (TransportError, NoAnswerError) as error:
            yield from upload.discard(error)
            raise

    return host.run(sequence())


NEW, OLD, OTHER = b"new content", b"old content", b"another file"
ELSEWHERE = f"/elsewhere{ACTION.target}"
FAULTS = st.lists(st.sampled_from(["", "", "", "lost", "unanswered", "late", "slow"]), max_size=12)
SCENARIOS = st.fixed_dictionaries(
    {"faults": FAULTS} | {key: st.booleans() for key in ("astray", "is_cut", "is_there", "is_elsewhere")}
)


def violations(scenario):
    """Play a scenario; return which parts of the law are broken."""
    faults = [*filter(None, scenario["faults"])]
    before = {ACTION.target: OLD} if scenario["is_there"] else {}
    before |= {ELSEWHERE: OTHER} if scenario["is_elsewhere"] else {}
    host = Host([*scenario["faults"]], astray=scenario["astray"], files={**before})
    broken, has_failed = set(), False
    try:
        publish(host, NEW, is_cut=scenario["is_cut"])
    except (TransportError, NoAnswerError):
        has_failed = True
    if not has_failed and host.files.get(ACTION.target) != NEW:
        broken.add("a success is one")
    if host.files.get(ELSEWHERE) != before.get(ELSEWHERE):
        broken.add("no other file is touched")
    if not faults and has_failed and host.files.get(ACTION.target) != before.get(ACTION.target):
        broken.add("what fails changes nothing")
    if len(faults) < 2 and not {"late", "slow"} & {*faults}:  # one connection that breaks is nothing
        if has_failed != (scenario["astray"] or scenario["is_cut"]):
            broken.add("what can succeed does")
        if any(".resto-" in name and not name.startswith("/elsewhere") for name in host.files):
            broken.add("nothing is left")
    for request in host.under_way:
        host.carry_out(request)
    if host.files.get(ACTION.target) not in (None, OLD, NEW, NEW[: len(NEW) // 2] if scenario["is_cut"] else NEW):
        broken.add("what arrives late destroys nothing")
    return broken


def test_nothing_is_left_where_a_look_is_not_answered():
    host = Host(["", "lost", "lost"])
    with pytest.raises(NoAnswerError):
        publish(host, NEW, is_cut=False)
    assert host.files == {}


@given(SCENARIOS)
def test_an_upload_is_there_as_a_whole_or_fails_and_no_other_file_is_touched(scenario):
    assert violations(scenario) == set()


# Without any one of the rules.


def steps_that_return(value=None):
    def steps(*args, **kwargs):
        return value
        yield

    return steps


def move_without_a_rehearsal(patch):
    patch.setattr(Unpublished, "rehearse", steps_that_return())


def believe_the_answer_to_a_move(patch):
    move_without_a_rehearsal(patch)  # which would find out, too
    patch.setattr(Unpublished, "_settle", steps_that_return())


def send_no_move_again(patch):
    patch.setattr(Unpublished._move, "__defaults__", (1,))


def leave_what_has_failed(patch):
    patch.setattr(Unpublished, "discard", steps_that_return())


def leave_half_a_file(patch):
    move_without_a_rehearsal(patch)  # as above
    original = Unpublished._settle
    patch.setattr(
        Unpublished, "_settle", lambda self, response, host, *, is_new: original(self, response, host, is_new=False)
    )


def replace_by_what_was_not_looked_at(patch):
    patch.setattr(Unpublished, "_require_whole", steps_that_return())


WELL = {"faults": []} | dict.fromkeys(("astray", "is_cut", "is_there", "is_elsewhere"), False)
BREAKING = {
    believe_the_answer_to_a_move: (WELL | {"astray": True}, "a success is one"),
    move_without_a_rehearsal: (
        WELL | dict.fromkeys(("astray", "is_there", "is_elsewhere"), True),
        "no other file is touched",
    ),
    send_no_move_again: (WELL | {"faults": ["lost"]}, "what can succeed does"),
    leave_what_has_failed: (WELL | {"is_cut": True}, "nothing is left"),
    leave_half_a_file: (WELL | {"is_cut": True}, "what fails changes nothing"),
    replace_by_what_was_not_looked_at: (WELL | {"is_cut": True, "is_there": True}, "what fails changes nothing"),
}


@pytest.mark.parametrize("mutate", BREAKING, ids=lambda mutate: mutate.__name__)
def test_the_law_is_broken_without_a_rule(monkeypatch, mutate):
    """This is what makes the test above worth something."""
    scenario, part = BREAKING[mutate]
    assert violations(scenario) == set()
    mutate(monkeypatch)
    assert part in violations(scenario)


# Real servers, and proxies before them

ROOT_OF_SITE = "location / {"
STRIPS = "location /files/ {{ proxy_pass {backend}; {more} }}"
HOST = "proxy_set_header Host $http_host;"
[IN_DOCS] = [block.text for block in read_blocks(ROOT / "docs" / "behind-a-proxy.md") if block.language == "nginx"]
BACKENDS = ["nginx-dav", "apache", "rclone", "wsgidav"]


@pytest.fixture
def proxied(start_server):
    """Start a server, and nginx or Apache before it, which takes off "/files"; return the URL and the directory of the server."""

    def start(proxy, kind, *, more="", has_folder=True):
        backend = start_server(kind)
        if has_folder:
            assert backend.request("MKCOL", "/files/").status == 201
        if proxy == "nginx":
            location = more if more.startswith("location") else STRIPS.format(backend=backend.url, more=more)
            location = location.replace("http://10.0.0.7:8080/", backend.url)
            front = start_server("nginx", {ROOT_OF_SITE: f"{location} {ROOT_OF_SITE}"})
        else:
            modules = "".join(f"LoadModule {name}_module @MODULES@/mod_{name}.so\n" for name in ("proxy", "proxy_http"))
            pass_on = f"{modules}ProxyPass /files/ {backend.url} nocanon\n{more}\nLoadModule dav_module"
            front = start_server("apache", {"LoadModule dav_module": pass_on})
        return f"{front.url}files/", backend

    return start


def names_on(server):
    return sorted(str(path.relative_to(server.root)) for path in server.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize(("proxy", "passes_host"), [("nginx", HOST), ("apache", "ProxyPreserveHost On")])
def test_behind_a_proxy_that_strips_a_prefix_an_upload_fails_and_touches_nothing(
    transport, proxied, proxy, passes_host, kind
):
    url, backend = proxied(proxy, kind, more=passes_host)
    for path, content in (("/b.txt", b"old"), ("/files/b.txt", b"another file")):
        assert backend.request("PUT", path, content).status == 201
    dav = transport("webdav", publish="move")
    for name in ("a.txt", "b.txt"):
        with pytest.raises(MovedElsewhereError, match="a proxy in between must change the header Destination"):
            dav.create(url, name, SMALL)
    assert names_on(backend) == ["b.txt", "files/b.txt"]
    assert (backend.root / "files/b.txt").read_bytes() == b"another file"


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("has_folder", [True, False])
@pytest.mark.parametrize("proxy", ["nginx", "apache"])
def test_behind_a_proxy_that_says_another_host_an_upload_fails_with_the_likely_cause(
    transport, proxied, proxy, kind, has_folder
):
    url, backend = proxied(proxy, kind, has_folder=has_folder)
    with pytest.raises(TransportError, match="proxy"):
        transport("webdav", publish="move").create(url, "a.txt", SMALL)
    assert names_on(backend) == []


@pytest.mark.parametrize("kind", BACKENDS)
def test_behind_a_proxy_that_changes_the_destination_all_is_well(transport, proxied, kind):
    url, backend = proxied("nginx", kind, more=IN_DOCS)
    dav = transport("webdav", publish="move")
    for content in (SMALL, b"new"):
        dav.create(url, "a/b c.txt", content)
    assert names_on(backend) == ["a/b c.txt"]
    assert dav.content(url, "a/b c.txt") == b"new"

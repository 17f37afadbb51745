"""No directory is deleted: several processes delete names of files and of directories while servers are replaced, and time passes.

The real steps run, on hosts without a network. Without any one of the rules of `resto.transports.acquaintance`, a directory is lost.
"""

import io
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit.steps import ACTION, DATE
from resto.exceptions import TransportError
from resto.transports import acquaintance, deletion
from resto.transports.acquaintance import DAY, Acquaintance
from resto.transports.messages import Request, Response


PROCESSES = 2

# What a server does with the name of a directory: it refuses to delete it, deletes it, or deletes it if it is empty. All of them
# say of a directory what one of three kinds of server says to HEAD.
SERVERS = st.tuples(
    st.sampled_from(["spares", "deletes", "deletes empty"]), st.sampled_from(["301", "undated", "dated"])
)

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), st.integers(0, PROCESSES - 1), st.sampled_from(["file", "full", "empty"])),
        st.tuples(st.just("replace"), SERVERS),
        st.tuples(st.just("replace in disguise"), SERVERS),
        st.tuples(st.just("upload"), st.integers(0, PROCESSES - 1)),
        st.tuples(st.just("tell"), st.integers(0, PROCESSES - 1)),
        st.tuples(st.just("wait"), st.sampled_from([1, DAY / 2])),
    ),
    max_size=12,
)


class Server:
    """A host with a file and two directories of the site."""

    def __init__(self):
        self.kind, self.shows, self.look = "spares", "301", 0
        self.files = {"/media/file": b"content", "/media/full/a": b"content"}
        self.directories = {"/media/full", "/media/empty"}

    def answer(self, request, *, has_propfind):
        name = request.target.removesuffix("/")
        status, headers, *stream = getattr(self, f"_{request.method.lower()}")(name, request, has_propfind)
        return Response(status, "", {"Server": f"server/{self.look}", **headers}, *stream)

    def _head(self, name, request, has_propfind):
        if name in self.directories:
            return {"301": (301, {}), "undated": (200, {}), "dated": (200, DATE)}[self.shows]
        return (200, DATE) if name in self.files else (404, {})

    def _get(self, name, request, has_propfind):
        return (200, DATE, io.BytesIO(self.files[name])) if name in self.files else (404, {})

    def _propfind(self, name, request, has_propfind):
        if not has_propfind:
            return 405, {}
        if name not in self.files and name not in self.directories:
            return 404, {}
        kind = b"<collection/>" if name in self.directories else b""
        found = b"<response><propstat><prop><resourcetype>%s</resourcetype></prop></propstat></response>" % kind
        return 207, {}, io.BytesIO(b'<multistatus xmlns="DAV:">%s</multistatus>' % found)

    def _mkcol(self, name, request, has_propfind):
        self.directories.add(name)
        return 201, {}

    def _put(self, name, request, has_propfind):
        self.files[name] = b"".join(request.body.blocks()) if request.body else b"content"
        return 201, {}

    def _delete(self, name, request, has_propfind):
        if name in self.directories:
            is_empty = not any(file.startswith(f"{name}/") for file in self.files)
            refuses = self.kind == "spares" or (self.kind == "deletes empty" and not is_empty)
            if refuses and not request.target.endswith("/"):
                return 409, {}
            self.directories.discard(name)
            self.files = {file: body for file, body in self.files.items() if not file.startswith(f"{name}/")}
            return 204, {}
        return (204, {}) if self.files.pop(name, None) is not None else (404, {})


class Site:
    """Processes that use a server, and the record that they share."""

    def __init__(self, *, has_propfind):
        self.now = 1_000_000.0
        self.server, self.has_propfind = Server(), has_propfind
        self.processes = [Acquaintance() for _ in range(PROCESSES)]
        self.record = None
        self.have_connection = [False] * PROCESSES

    def play(self, host, steps):
        try:
            request = next(steps)
            while True:
                self.now += 0.001
                response = self.server.answer(request, has_propfind=self.has_propfind)
                host.notice(request, response)
                request = steps.send(response)
        except (StopIteration, TransportError):
            return

    def delete(self, process, name):
        host, action = self.processes[process], replace(ACTION, name=name)
        is_at_once = self.have_connection[process] and host.spares_directories
        self.play(host, deletion.delete(action, host, has_propfind=self.has_propfind, is_on_its_way=is_at_once))
        self.have_connection[process] = True
        if host.trial is not None and (self.record is None or self.record.tried < host.trial.tried):
            self.record = host.trial
        self.server.files["/media/file"] = b"content"

    def tell(self, process):
        if self.record is not None:
            self.processes[process].hear(self.record)

    def replace(self, server):
        """Put another server in the place of this one."""
        self.server.kind, self.server.shows = server
        self.server.look += 1
        self.have_connection = [False] * PROCESSES

    def upload(self, process):
        self.now += 0.001
        request = Request("PUT", "/media/file")
        self.processes[process].notice(request, self.server.answer(request, has_propfind=True))
        self.have_connection[process] = True

    def replace_in_disguise(self, server):
        """Do so with one that looks the same, and let a day pass."""
        self.server.kind, self.server.shows = server
        self.have_connection = [False] * PROCESSES
        self.now += DAY

    def wait(self, seconds):
        self.now += seconds


def loses(scenario):
    """Tell whether a directory of the site is lost."""
    has_propfind, events = scenario
    site = Site(has_propfind=has_propfind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acquaintance, "clock", lambda: site.now)
        for what, *arguments in events:
            getattr(site, what.replace(" ", "_"))(*arguments)
    return not {"/media/full", "/media/empty"} <= site.server.directories or "/media/full/a" not in site.server.files


SCENARIOS = st.tuples(st.booleans(), EVENTS)


HEARD_TOO_LATE = [
    ("delete", 0, "file"),
    ("replace", ("deletes", "301")),
    ("upload", 1),
    ("tell", 1),
    ("delete", 1, "full"),
]


REPLACED_BY_ONE_THAT_DELETES = [
    ("replace", ("deletes", "301")),
    ("delete", 1, "file"),
    ("replace", ("deletes", "undated")),
    ("delete", 1, "full"),
]


@given(SCENARIOS)
@example((False, HEARD_TOO_LATE))
@example((False, REPLACED_BY_ONE_THAT_DELETES))
@settings(max_examples=5 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow])
def test_no_directory_is_lost(scenario):
    assert not loses(scenario)


def notice_nothing(host, request, response):
    host.product = ""


def hear_anything(host, trial):
    host._trial, host._is_certain, host._doubted, host._until = trial, True, 0.0, trial.tried + DAY


def believe_for_ever(host):
    return host._trial is not None and not host._doubted


def take_any_file(host, response):
    return response.status == 200


def look_at_full_directories_only(responses):
    return responses.status == 409 or 200 <= responses.status < 300


def hear_whatever_was_seen(host, trial):
    host._seen = 0.0
    HEAR(host, trial)


HEAR = Acquaintance.hear

EMPTY_IS_NOT_SPARED = [("replace", ("deletes empty", "301")), ("delete", 0, "file"), ("delete", 0, "empty")]

REPLACED_IN_DISGUISE = [("delete", 0, "file"), ("replace in disguise", ("deletes", "dated")), ("delete", 0, "full")]

# Each rule, with what takes it out, and how a directory is lost then.
MUTANTS = {
    "an answer that looks otherwise is a doubt": (Acquaintance, "notice", notice_nothing, HEARD_TOO_LATE),
    "what was tried before the doubt is not believed": (Acquaintance, "hear", hear_anything, HEARD_TOO_LATE),
    "what was tried before an answer that looks otherwise is not believed": (
        Acquaintance,
        "hear",
        hear_whatever_was_seen,
        HEARD_TOO_LATE,
    ),
    "a trial is believed for a day": (Acquaintance, "_is_believed", believe_for_ever, REPLACED_IN_DISGUISE),
    "only a trial shows what a file looks like": (
        Acquaintance,
        "shows_file",
        take_any_file,
        REPLACED_BY_ONE_THAT_DELETES,
    ),
    "what is deleted is not spared": (acquaintance, "_is_refused", look_at_full_directories_only, EMPTY_IS_NOT_SPARED),
    "a host that may be another one is asked": (
        Acquaintance,
        "looks_as_before",
        lambda host, response: True,
        REPLACED_BY_ONE_THAT_DELETES,
    ),
    "a host that is not known is asked": (Acquaintance, "spares_directories", True, HEARD_TOO_LATE),
}


@pytest.mark.parametrize("rule", MUTANTS)
def test_without_a_rule_a_directory_is_lost(monkeypatch, rule):
    """This is what makes the test above worth something."""
    *mutation, events = MUTANTS[rule]
    assert not loses((False, events))

    monkeypatch.setattr(*mutation)

    assert loses((False, events))

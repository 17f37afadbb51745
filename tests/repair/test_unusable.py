"""Settings of the wrong kind: whatever they are, they are named in a sentence, and what can be used is looked after."""

import io
import math
import re

import pytest
from django.core import checks
from django.core.checks import ERROR
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.test import RequestFactory, override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from resto import views
from resto.models import Pending
from resto.page.looks import Looks
from resto.page.now import now
from resto.record import opening
from resto.repair import overview
from resto.repair.unusable import unusable_storages
from resto.settings import DEFAULTS


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_overview")]

HYBRID = "resto.storage.HybridStorage"
RIGHT = {
    "RESTO_MEDIA_HOSTS": ["one", "two"],
    "RESTO_TRANSPORT": "kit.hosts.MemoryTransport",
    "RESTO_EXECUTOR": "inline",
    "RESTO_GRACE": 1,
    "STORAGES": {"default": {"BACKEND": HYBRID}},
}
OPTIONS = [
    "hosts",
    "base_url",
    "location",
    "allow_overwrite",
    "fatal_exceptions",
    "show_traceback",
    "timeout",
    "transport",
    "transport_options",
    "executor",
    "executor_options",
]
# What the setting is called, where that is not its name in small letters.
WORDS = {"RESTO_MEDIA_HOSTS": "host", "hosts": "host", "location": "location|MEDIA_ROOT"}

# Of each command, whether it has to do with all settings.
COMMANDS = {
    "resto_status": ([], True),
    "resto_drain": ([], True),
    "resto_sync": (["--dry-run"], True),
    "resto_adopt": (["--no-input"], False),
    "resto_restore": (["--dry-run"], False),
    "resto_forget": (["gone", "--no-input"], False),
}

things = st.sampled_from(
    [
        None,
        True,
        0,
        3,
        -1.5,
        math.nan,
        10**400,
        "",
        "x",
        "no.Such",
        "os.path",
        b"x",
        [],
        [1],
        ["x"],
        (),
        {},
        {"x": 1},
        {1: 2},
        {1},
        int,
    ]
)
wrong = st.one_of(
    st.tuples(st.just("STORAGES"), things),
    st.tuples(st.just("STORAGES"), things.map(lambda thing: {"default": thing})),
    st.tuples(st.just("BACKEND"), things.map(lambda thing: {"default": {"BACKEND": thing}})),
    st.tuples(st.just("OPTIONS"), things.map(lambda thing: {"default": {"BACKEND": HYBRID, "OPTIONS": thing}})),
    st.tuples(st.sampled_from(OPTIONS), things).map(
        lambda one: (one[0], {"default": {"BACKEND": HYBRID, "OPTIONS": {one[0]: one[1]}}})
    ),
    st.tuples(st.sampled_from([f"RESTO_{name}" for name in DEFAULTS]), things),
)


def checked():
    found = [message for message in checks.run_checks(tags=["files"]) if (message.id or "").startswith("resto.")]
    return "\n".join(message.msg for message in found), any(message.level >= ERROR for message in found)


def said_by(command, *options):
    """What a command says, and how it has ended; whatever it raises but that is raised."""
    out, problems = io.StringIO(), io.StringIO()
    try:
        call_command(command, *options, stdout=out, stderr=problems)
        code = 0
    except CommandError as error:
        problems.write(str(error))
        code = error.returncode
    except SystemExit as error:
        code = error.code
    return out.getvalue() + problems.getvalue(), code


def said_by_ready():
    overview.forget()
    answer = views.ready(RequestFactory().get("/"))
    return answer.content.decode(), answer.status_code


# No option of this site names a secret, and only DistributedStorage reads near hosts.
NOT_USED = {"RESTO_SECRETS", "RESTO_NEAR", "RESTO_NEAR_LAG"}


@given(wrong)
@example(("STORAGES", {"default": [HYBRID]}))
@example(("RESTO_LEASE", "300"))
@example(("RESTO_DATABASE", ["default"]))
def test_whatever_is_wrong_is_named_and_nothing_is_raised(media_root, change):
    name, value = change
    setting = name if name.startswith("RESTO_") else "STORAGES"
    with override_settings(**RIGHT | {setting: value}):
        text, is_wrong = checked()
        said = {command: said_by(command, *options) for command, (options, _) in COMMANDS.items()}
        said["ready"] = said_by_ready()
        on_page = "\n".join(now(Looks()).wrong)
    if not is_wrong or name in NOT_USED:
        return
    named = re.compile(WORDS.get(name, name.removeprefix("RESTO_").lower()), re.IGNORECASE)
    assert named.search(text)
    for where in [command for command, (_, is_about_all) in COMMANDS.items() if is_about_all] + ["ready"]:
        sentence, code = said[where]
        assert named.search(sentence) or "STORAGES['default']" in sentence, (where, sentence)
        assert code
    if name in (
        "STORAGES",
        "BACKEND",
        "RESTO_DATABASE",
        "RESTO_LEASE",
        "RESTO_GRACE",
    ):  # of options it says what hosts answer
        assert named.search(on_page) or "STORAGES['default']" in on_page


@pytest.fixture
def site(settings, media_root):
    for name, value in RIGHT.items():
        setattr(settings, name, value)
    settings.STORAGES = {
        **RIGHT["STORAGES"],
        "list": [HYBRID],
        "gone": {"BACKEND": "no.such.Storage"},
        "wrong": {"BACKEND": HYBRID, "OPTIONS": {"timeout": "soon", "location": str(media_root) + "-2"}},
    }


@pytest.mark.usefixtures("site")
def test_the_others_are_looked_after():
    opening.open_leases("default", [("one", "a")])
    opening.open_leases("list", [("one", "a")])
    Pending.objects.update(due=0, quiet_until=0, created=1)
    storages["default"].save("a", ContentFile(b"1"))
    said, code = said_by("resto_drain")
    assert code == 1
    for one in unusable_storages():
        assert said.count(one.sentence) == 1
    assert [one.alias for one in unusable_storages()] == ["list", "gone", "wrong"]
    assert storages["default"].transport.files["one", "a"] == b"1"
    # They are those of a storage that the settings have, whatever they say of it, and not forgotten.
    assert set(Pending.objects.values_list("storage", flat=True)) == {"list"}


@pytest.mark.usefixtures("site")
def test_only_what_is_asked_for_is_told():
    assert said_by("resto_drain", "--storage", "default") == ("Nothing is due.\n", 0)
    said, code = said_by("resto_drain", "--storage", "list")
    assert (said, code) == ("STORAGES['list']: it is of type list, and must be a mapping.", 1)
    assert said_by("resto_sync", "--storage", "gone")[0].startswith("STORAGES['gone']: its BACKEND 'no.such.Storage'")


@pytest.mark.usefixtures("site")
def test_nothing_is_forgotten_of_a_storage_that_nobody_understands():
    opening.open_leases("list", [("gone", "a")])
    Pending.objects.update(due=0, quiet_until=0)
    said, code = said_by("resto_forget", "gone", "--no-input")
    assert "STORAGES['list']: it is of type list, and must be a mapping." in said
    assert (code, Pending.objects.count()) == (1, 1)

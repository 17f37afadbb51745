"""What may be asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.page.asking import Wanted, WrongWishError, buttons, wanted


def test_buttons_ask_for_what_they_say(site, servers):
    whole = {one.label: wanted({"ask": one.value}) for one in buttons("default")}
    assert whole == {
        "Drain now": Wanted("drain", "default", options={"now": True}),
        "Compare": Wanted("sync", "default"),
        "Probe": Wanted("probe", "default"),
    }
    one = [wanted({"ask": one.value}) for one in buttons("default", servers[0].url)]
    assert [(wish.kind, wish.hosts) for wish in one] == [("drain", (servers[0].url,)), ("sync", (servers[0].url,))]
    assert one[1].told == f"sync of default, {servers[0].url}"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "That cannot be asked for here."),
        ({"kind": "restore", "storage": "default"}, "That cannot be asked for here."),
        ({"kind": "adopt", "storage": "default"}, "That cannot be asked for here."),
        ({"kind": "drain", "storage": "no"}, "STORAGES has no 'no' of resto."),
        ({"kind": "drain", "storage": ""}, "STORAGES has no '' of resto."),
        (
            {"kind": "drain", "storage": "default", "host": "http://no/"},
            r"STORAGES\['default'\] has no host http://no/.",
        ),
        ({"kind": "sync", "storage": "default", "directory": "/etc"}, "'/etc' is an absolute path"),
        ({"kind": "sync", "storage": "default", "directory": "x" * 302}, "is 302 bytes long, file systems take 255"),
        ({"kind": "sync", "storage": "default", "directory": "x/" * 2_100}, "is too long: 4199 characters"),
    ],
)
def test_what_cannot_be_asked_for(site, values, problem):
    for sent in (values, {"ask": json.dumps(values)}):
        with pytest.raises(WrongWishError, match=problem):
            wanted(sent)


json_values = st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda some: st.lists(some, max_size=2))


@given(
    sent=st.dictionaries(st.sampled_from(["kind", "storage", "host", "directory", "delete"]), json_values) | json_values
)
def test_nothing_else_than_what_is_offered_is_understood(site, sent):
    """Whatever somebody sends by hand: a run never says that files are to be removed."""
    try:
        wish = wanted({"ask": json.dumps(sent)})
    except WrongWishError:
        return
    assert wish.options.keys() <= {"now", "prefix", "checksum"}


@pytest.mark.parametrize("sent", ["{", "[" * 5_000])
def test_what_is_no_json(site, sent):
    with pytest.raises(WrongWishError):
        wanted({"ask": sent})


def test_directory(site):
    wish = wanted({"kind": "sync", "storage": "default", "directory": "a//b/"})
    assert (wish.options, wish.told) == ({"prefix": "a/b"}, "sync of default, below a/b")

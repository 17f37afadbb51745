"""Where the storages of a site keep their files, and that it costs little to know, however many storages there are."""

import sys
from collections import Counter
from pathlib import PurePath

import pytest
from django.apps import apps
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from kit.hosts import MemoryTransport
from resto.storage.sharing import nested_directories, shared_hosts


def of(number, root):
    options = {"hosts": [f"media-{host}/{number}/" for host in range(3)], "location": str(root / str(number))}
    return {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": {"transport": MemoryTransport, **options}}


def count_calls(function):
    """Return how many functions of Python are called, which takes no clock to know."""
    calls = Counter()
    sys.setprofile(lambda frame, event, argument: calls.update([event]))
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls["call"]


@pytest.fixture
def calls_for(settings, tmp_path):
    """A function: what to do -> how many calls it takes with 10 storages, and with 100."""

    def calls_for(act):
        found = []
        for count in (10, 100):
            settings.STORAGES = {f"tenant-{number}": of(number, tmp_path) for number in range(count)}
            settings.RESTO_EXECUTOR = "inline"
            found.append(count_calls(act))
        return found

    return calls_for


@pytest.mark.django_db
def test_storages_are_checked_in_a_time_that_grows_with_their_number(calls_for):
    few, many = calls_for(lambda: checks.run_checks(app_configs=[apps.get_app_config("resto")]))
    assert many < 15 * few


@pytest.mark.django_db
def test_the_first_save_of_a_storage_takes_no_longer_where_there_are_many(calls_for):
    def save_in_each_of_two():
        for number in (1, 2):
            storages[f"tenant-{number}"].save("a", ContentFile(b""))

    def save_in_a_third():
        storages["tenant-3"].save("a", ContentFile(b""))

    calls = []

    def count():
        save_in_each_of_two()
        calls.append(count_calls(save_in_a_third))

    calls_for(count)
    assert calls[1] < 2 * calls[0]


PLACES = st.sampled_from(["", "a", "a/b", "a/b/c", "a/bc", "b", "d e"])


@given(places=st.lists(st.tuples(PLACES, PLACES), min_size=2, max_size=4))
def test_what_storages_have_in_common_is_what_a_look_at_each_pair_finds(places):
    """A storage has a folder of a host, and a directory here; two with the same ones are one storage."""

    def inside(folder, other):
        is_within = PurePath("/", folder).is_relative_to(PurePath("/", other))
        return str(PurePath("/", folder).relative_to(PurePath("/", other))).strip(".") if is_within else None

    def of(host, directory):
        options = {"hosts": [f"http://media-1/{host}/"], "location": f"/srv/{directory}"}
        return {"BACKEND": "resto.storage.HybridStorage", "OPTIONS": options}

    with override_settings(STORAGES={str(number): of(*place) for number, place in enumerate(places)}):
        for number, (host, directory) in enumerate(places):
            wanted = []
            for other, (their_host, their_directory) in enumerate(places):
                if directory != their_directory:
                    within, around = inside(host, their_host), inside(their_host, host)
                    wanted += [(str(other), around or within or "", bool(around))] * ((within, around) != (None, None))
            shared = shared_hosts(str(number))
            assert [(one.other, one.inside, one.is_outer) for one in shared] == wanted

            nested = nested_directories(f"/srv/{directory}")
            assert nested == {
                found: str(other)
                for other, (_, their_directory) in enumerate(places)
                if (found := inside(their_directory, directory))
            }

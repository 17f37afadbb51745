"""The search for a free name ends, whatever hosts say."""

import pickle

import pytest
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from kit.record import files, pending_for
from resto.exceptions import ReplicationError
from resto.outcomes import Outcome
from resto.storage import naming


NEW = ContentFile(b"new")


def says_yes(server, is_there=lambda path: True):
    """Let a server say of files that it has them."""

    def answer(method, path):
        server.override_code = (200 if is_there(path) else 404) if method == "HEAD" else None

    server.on_request = answer


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("options", [{}, {"write_quorum": "majority"}, {"fatal_exceptions": False}])
@pytest.mark.parametrize("name", ["a", "d/photo.jpg", "d/.hidden", "x" * 240, "a." + "b" * 230])
def test_a_host_that_says_yes_to_everything_is_named(make, servers, name, options):
    says_yes(servers[1])
    storage = make(**options)
    with pytest.raises(ReplicationError, match="a random name that nobody can have") as caught:
        storage.save(name, NEW)
    (failure,) = caught.value.failures
    assert failure.host == servers[1].url
    assert servers[1].url in str(caught.value)
    assert "nothing was saved" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert len(servers[1].requests) == naming.DOUBTFUL + 1
    assert files(servers) == [{}] * 3
    assert pending_for() == []


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_a_host_that_has_all_names_but_the_ones_that_nobody_can_have(make, servers):
    says_yes(servers[2], lambda path: len(path) < 20)
    storage = make()
    with pytest.raises(ReplicationError, match="each of 100 names") as caught:
        storage.save("a", NEW)
    assert [failure.host for failure in caught.value.failures] == [servers[2].url]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert len(servers[2].requests) == naming.MAX_NAMES + 2
    assert pending_for() == []


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_names_that_are_taken_in_truth_are_passed_over(storage, servers, monkeypatch):
    suffixes = iter(["1", "2", "3", "4", "5"])
    monkeypatch.setattr(
        type(storage), "get_alternative_name", lambda self, root, extension: f"{root}{next(suffixes)}{extension}"
    )
    for taken in ("a.txt", "a1.txt", "a2.txt", "a3.txt"):
        servers[0].create_file(taken, b"old")
    assert storage.save("a.txt", NEW) == "a4.txt"
    assert pending_for() == []
    doubted = {request.name for request in servers[0].requests if request.method == "HEAD"} - {
        "a.txt",
        *(f"a{number}.txt" for number in range(1, 6)),
    }
    (other,) = doubted
    assert other.endswith(".txt")
    assert len(other) == 36


def test_the_search_works_without_a_record(make, servers):
    says_yes(servers[0])
    with pytest.raises(ReplicationError, match="a random name"):
        make().save("a", NEW)
    with pytest.raises(ReplicationError, match="a random name"):
        make().get_available_name("a")


def test_a_name_alone_may_be_asked_for_again_and_again(make, servers):
    servers[0].create_file("a", b"old")
    storage = make()
    assert not any(storage.is_name_available("a") for _ in range(naming.MAX_NAMES + 1))


NAMES = st.text("ab./é", min_size=1, max_size=30).filter(lambda name: not name.endswith("/") and name.strip("./"))


@given(NAMES, st.lists(st.booleans() | st.none(), min_size=1, max_size=4))
def test_every_search_ends(name, hosts):
    """Whatever hosts say of the names that a search asks for, true, false or nothing."""
    asked = []

    def ask(other):
        asked.append(other)
        return [Outcome("exists", f"h{n}", other, 0, told) for n, told in enumerate(hosts)]

    search = naming.NameSearch()
    with search.begun(), pytest.raises(ReplicationError) as caught:
        sum(search.note_taken(name, ask) for _ in range(naming.MAX_NAMES))
    liars = [f"h{n}" for n, told in enumerate(hosts) if told]
    assert [failure.host for failure in caught.value.failures] == liars
    assert len(asked) == (1 if liars else 2)
    assert search.note_taken(name, ask) is False

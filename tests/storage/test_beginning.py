"""How a master copy begins; that it is one in the end is tried with `test_belief`."""

import pytest

from resto.exceptions import ConfigurationError
from resto.master.identity import Identity, keep_identity
from resto.master.root import Root
from resto.record import identities, leases, opening
from resto.storage.beginning import begin, begin_anew, complete, is_nothing_lost
from resto.storage.verdict import problem_of


pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path):
    with Root(str(tmp_path)) as root:
        yield root.descriptor


class Site:
    """A storage whose hosts do not list, and have no identities: nothing is known of their files."""

    location, hosts = "/media", ()


def test_directory_and_record_say_the_same_after_a_beginning(root):
    found, known = begin(Site(), root, ["default"])
    assert (known.identity, known.mark) == found.identity
    assert problem_of("/media", found, known) is None


def test_identity_that_is_recorded_stays(root):
    identities.put("default", identities.MASTER, "another", "mark")
    keep_identity(root, Identity("one", "mark"))
    found, known = complete(root, ["default"])
    assert (found.identity.id, known.identity) == ("one", "another")


def test_place_of_a_master_copy_is_taken_once(root, tmp_path):
    identities.put("default", identities.MASTER, "id", "old")
    [before] = identities.find(["default"])
    first, known = begin_anew(Site(), root, ["default"], before)
    assert problem_of("/media", first, known) is None
    (tmp_path / "other").mkdir()
    with Root(str(tmp_path / "other")) as other:
        found, known = begin_anew(Site(), other.descriptor, ["default"], before)
    assert known.identity == first.identity.id != "id"
    assert problem_of("/media", found, known) is not None


def test_something_may_be_lost_where_a_file_is_or_something_is_pending(root, tmp_path):
    assert is_nothing_lost(Site(), ["default"], root)
    opening.open_lease("default", ["media-1"], "a", present=True)
    assert not is_nothing_lost(Site(), ["default"], root)
    assert leases.rows.delete({"storage = %s": "default"}) == 1
    (tmp_path / "a").touch()
    assert not is_nothing_lost(Site(), ["default"], root)


def test_file_system_that_is_of_no_use_is_not_begun_on(root, monkeypatch):
    monkeypatch.setattr("os.link", lambda *args, **kwargs: None)
    with pytest.raises(ConfigurationError, match="lets a link replace a file"):
        begin(Site(), root, ["default"])
    assert identities.find(["default"]) == []

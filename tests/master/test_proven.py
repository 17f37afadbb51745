"""The directory as each access has it: what a believer is asked, and when."""

import pytest

from resto.exceptions import ConfigurationError
from resto.master.copy import MasterCopy
from resto.master.identity import Proof, ReplacedMeanwhileError


class Doubter:
    """Believes as often as it is told to, and keeps what it was asked."""

    def __init__(self, times=99):
        self.times, self.asked, self.is_known = times, [], False

    def prove(self, root, proof, *, is_save=False):
        self.asked.append("save" if is_save else "prove")
        if self.asked.count("prove") + self.asked.count("save") > self.times:
            raise ConfigurationError("no master copy", "Mount it.", "E019")
        proof.seal = (0,) * 5

    def require_unknown(self, *, is_save=False):
        if self.is_known:
            raise ConfigurationError("gone")

    def require_whole(self):
        raise ConfigurationError("being restored")

    def check_place(self, root, directory):
        self.asked.append(directory)


@pytest.fixture
def make(media_root):
    def make(*args):
        doubter = Doubter(*args)
        return MasterCopy(believer=doubter).proven, doubter

    return make


def test_directory_is_proven_before_and_after_a_change(make, media_root):
    media_root.mkdir()
    proven, doubter = make()
    with proven.changing("d/a", makes=True):
        assert doubter.asked == ["save", "d"]
    assert doubter.asked == ["save", "d", "prove", "d"]


def test_nothing_is_changed_in_what_is_not_proven(make, media_root):
    media_root.mkdir()
    proven, _ = make(0)
    with pytest.raises(ConfigurationError, match="no master copy") as caught, proven.changing("a"):
        pytest.fail("it was not proven")
    assert not isinstance(caught.value, ReplacedMeanwhileError)


def test_what_is_not_proven_after_a_change_is_told_apart(make, media_root):
    media_root.mkdir()
    proven, _ = make(1)
    with pytest.raises(ReplacedMeanwhileError, match="no master copy") as caught, proven.changing("a"):
        pass
    assert (caught.value.hint, caught.value.code) == ("Mount it.", "E019")


def test_directory_is_proven_after_each_look_and_before_the_first_of_an_action(make, media_root):
    media_root.mkdir()
    proven, doubter = make()
    proof = Proof()
    for expected in (2, 3, 4):
        with proven.looking("a", proof):
            pass
        assert len(doubter.asked) == expected


def test_what_was_seen_is_not_believed_without_proof(make, media_root):
    media_root.mkdir()
    proven, _ = make(1)
    with pytest.raises(ConfigurationError), proven.looking("a"):
        pass


def test_missing_directory_is_made_by_a_save_only(make, media_root):
    proven, _ = make()
    with pytest.raises(FileNotFoundError, match="media is missing; is it mounted"), proven.looking("a"):
        pass
    assert not media_root.exists()
    with proven.changing("a", makes=True):
        assert media_root.is_dir()


def test_missing_directory_that_should_be_there_is_not_made(make, media_root):
    proven, doubter = make()
    doubter.is_known = True
    with pytest.raises(ConfigurationError, match="gone"), proven.changing("a", makes=True):
        pass
    assert not media_root.exists()


def test_without_a_believer_any_directory_is_whole(media_root):
    MasterCopy().proven.require_whole()
    with MasterCopy().proven.changing("a", makes=True) as root:
        assert not root.has("a")


def test_believer_tells_whether_files_may_be_missing(make):
    with pytest.raises(ConfigurationError, match="being restored"):
        make()[0].require_whole()

"""Directories that somebody adopts: killed at any step, it is done again, and comes to its end."""

import errno
import fcntl
import os
import shutil
from contextlib import suppress
from itertools import count

import pytest

from kit.recognized import problems, save, wipe
from kit.record import files
from resto.exceptions import ConfigurationError
from resto.master.root import Root
from resto.models import Host
from resto.record import identities
from resto.repair.adoption import Adoption
from resto.storage import adopting, belief, host_looks
from resto.storage.adopting import adopt, end_adoption, is_being_adopted


pytestmark = pytest.mark.django_db(transaction=True)

STEPS = [
    (adopting, "replace_identity"),
    (identities, "put"),
    (identities, "add"),
    (identities, "note"),
    (host_looks, "write_host_identity"),
    (identities, "change_mark"),
    (belief, "replace_identity"),
    (identities, "finish_mark"),
]


class KilledError(BaseException):
    """The process is gone."""


@pytest.fixture
def servers(two_servers):
    return two_servers


@pytest.fixture
def killed_at(monkeypatch):
    """A function that lets the process end before or after its so many-th step; returns whether it has."""

    def killed_at(number, call):
        steps = count()

        def killing(original):
            def step(*args, **kwargs):
                if next(steps) == number:
                    raise KilledError
                value = original(*args, **kwargs)
                if next(steps) == number:
                    raise KilledError
                return value

            return step

        with monkeypatch.context() as patch:
            for owner, name in STEPS:
                patch.setattr(owner, name, killing(getattr(owner, name)))
            with suppress(KilledError):
                call()
                return False
        return True

    return killed_at


def throw_the_database_away():
    Host.objects.all().delete()


def take_a_backup_of_the_database():
    Host.objects.filter(host="").update(mark="0" * 32, next_mark="", marks="{}")


@pytest.mark.parametrize("lose", [throw_the_database_away, take_a_backup_of_the_database])
def test_adoption_that_was_killed_at_any_step_is_completed(begin, servers, media_root, killed_at, lose):
    """No host has to be adopted by itself."""
    for number in count():
        throw_the_database_away()
        shutil.rmtree(media_root, ignore_errors=True)
        for server in servers:
            wipe(server)
        save(begin(), "a")
        lose()
        with pytest.raises(ConfigurationError, match="resto_adopt"):
            begin().belief.require()
        is_killed = killed_at(number, Adoption("default", begin(), []).carry_out)
        assert Adoption("default", begin(), []).carry_out() == []
        assert problems() == ["", ""]
        assert not is_being_adopted(str(media_root))
        save(begin(), "b")
        assert files(servers) == [{"a": b"a", "b": b"b"}] * 2
        if not is_killed:
            break
    assert number > 2 * len(STEPS)


def test_whoever_adopts_at_the_same_moment_waits(begin, servers, media_root, monkeypatch):
    save(begin(), "a")
    throw_the_database_away()
    locked, seen = fcntl.flock, []

    def look(*args):
        """Whoever comes second finds the directory locked until all hosts follow."""
        with Root(str(media_root)) as root, pytest.raises(BlockingIOError):
            locked(root.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(args)

    for owner, name in STEPS[:-3]:
        original = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *args, original=original, **kwargs: (look(), original(*args, **kwargs))[1]
        )
    assert Adoption("default", begin(), []).carry_out() == []
    assert len(seen) > 2
    with Root(str(media_root)) as root:
        locked(root.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_directory_that_cannot_be_locked_is_adopted(begin, servers, media_root, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # what NFS says

    save(begin(), "a")
    throw_the_database_away()
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert Adoption("default", begin(), []).carry_out() == []
    assert problems() == ["", ""]


def test_directory_that_is_adopted_again_has_another_identity(begin, servers, media_root):
    """But for what was killed: it is completed, whoever has the copy of the directory."""
    storage = begin()
    save(storage, "a")
    first = adopt(storage.location, storage.belief)
    begun = storage.belief.identity()
    assert is_being_adopted(storage.location)
    assert adopt(storage.location, storage.belief) == first
    assert storage.belief.identity() == begun != first[0]
    end_adoption(storage.location, storage.belief)
    assert not is_being_adopted(storage.location)
    assert storage.belief.require()
    assert adopt(storage.location, storage.belief) == (begun, begun)
    assert storage.belief.identity() != begun


def test_end_of_an_adoption_leaves_what_others_have_adopted(begin, servers, media_root):
    storage = begin()
    save(storage, "a")
    adopt(storage.location, storage.belief)
    Host.objects.filter(host="").update(identity="0" * 32)
    end_adoption(storage.location, storage.belief)
    assert is_being_adopted(storage.location)

import pickle
from dataclasses import FrozenInstanceError

import pytest

from resto.exceptions import TransportError
from resto.outcomes import Outcome


def test_outcome_of_success():
    outcome = Outcome("size", "media-1", "a.txt", 0.1, value=0)
    assert outcome.ok
    assert outcome.value == 0


def test_outcome_of_failure():
    outcome = Outcome("size", "media-1", "a.txt", 0.1, error=TransportError("media-1", "a.txt", "size", "no idea"))
    assert not outcome.ok
    assert outcome.value is None


def test_error_that_is_false_is_a_failure():
    class EmptyError(Exception):
        def __len__(self):
            return 0

    assert not Outcome("size", "media-1", "a.txt", 0.1, error=EmptyError()).ok


def test_outcome_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Outcome("size", "media-1", "a.txt", 0.1).value = 1


def test_outcome_survives_pickling():
    outcome = Outcome("size", "media-1", "a.txt", 0.1, value=3)
    assert pickle.loads(pickle.dumps(outcome)) == outcome

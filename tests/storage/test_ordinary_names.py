"""A save that looks once at an ordinary name does what Django does, which looks several times."""

import tempfile
from pathlib import Path

import pytest
from django.core.files import utils
from django.core.files.base import ContentFile
from django.core.files.storage import base
from hypothesis import example, given
from hypothesis import strategies as st

from kit.hosts import make
from resto.names import is_ordinary
from resto.storage import HybridStorage


class AsDjangoDoes(HybridStorage):
    """Goes Django's way, for the one method that it has changed."""

    def get_available_name(self, name, max_length=None):
        return super().get_available_name(name, max_length)


PARTS = st.sampled_from(["a", "b.txt", "c.tar.gz", ".", "..", "", "d e", "x" * 241, "é", ".hidden", "~", "a\\b"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join) | st.text(max_size=5)


def saved(storage_class, name, max_length, taken):
    """Return what becomes of a save: the name or the kind of error, and the files."""
    with tempfile.TemporaryDirectory() as location:
        storage = make(["one"], storage_class, location=location)
        if taken and is_ordinary(name):
            path = Path(location, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"taken")
        try:
            found = storage.save(name, ContentFile(b"content"), max_length)
        except Exception as error:  # noqa: BLE001 - of whichever kind, it is that of both
            return type(error), sorted(storage.transport.files)
        return found, sorted(storage.transport.files)


@given(name=NAMES, max_length=st.sampled_from([None, 3, 100]), taken=st.booleans())
@example(name="a/b.txt", max_length=None, taken=True)
@example(name="a/b.txt", max_length=3, taken=False)
def test_save_is_that_of_django(name, max_length, taken):
    with pytest.MonkeyPatch.context() as patch:
        # The same other name for both, where one is needed.
        patch.setattr("django.core.files.storage.base.get_random_string", lambda length: "x" * length)
        assert saved(HybridStorage, name, max_length, taken) == saved(AsDjangoDoes, name, max_length, taken)


@pytest.fixture
def validated(monkeypatch):
    """How often Django has looked at a name."""
    names, validate = [], utils.validate_file_name
    monkeypatch.setattr(
        base, "validate_file_name", lambda name, **kwargs: names.append(name) or validate(name, **kwargs)
    )
    return names


def test_ordinary_name_is_not_looked_at_by_django(validated, media_root):
    storage = make(["one"], HybridStorage, location=str(media_root))
    assert storage.save("a/b.txt", ContentFile(b"content")) == "a/b.txt"
    assert validated == []


def test_name_that_is_taken_is_for_django(validated, media_root):
    storage = make(["one"], HybridStorage, location=str(media_root))
    storage.save("a", ContentFile(b"content"))
    assert storage.save("a", ContentFile(b"other")) != "a"
    assert validated


class RefinesNames(HybridStorage):
    def _save(self, name, content):
        return super()._save(f"b/{name}", content)


@pytest.mark.parametrize("storage_class", [AsDjangoDoes, RefinesNames])
def test_whoever_has_changed_a_method_gets_what_django_does(validated, media_root, storage_class):
    make(["one"], storage_class, location=str(media_root)).save("a", ContentFile(b"content"))
    assert validated


def test_a_method_that_was_assigned_counts(validated, media_root):
    storage = make(["one"], HybridStorage, location=str(media_root))
    storage.get_available_name = lambda name, max_length=None: "other"
    assert storage.save("a", ContentFile(b"content")) == "other"

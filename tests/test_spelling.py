"""What may have been meant, and what a class takes."""

from typing import TypedDict, Unpack

import pytest

from resto.spelling import did_you_mean, options_of, unknown_options


class Colours(TypedDict, total=False):
    red: int
    green: int


class Base:
    def __init__(self, *, size=1, **colours: Unpack[Colours]):
        pass


class Closed(Base):
    def __init__(self, url, *, name=""):
        pass


class Open(Base):
    def __init__(self, *args, name="", **options):
        pass


class Plain:
    pass


@pytest.mark.parametrize(
    ("kind", "given", "options"),
    [
        (Base, 0, ["size", "red", "green"]),
        (Closed, 0, ["url", "name"]),
        (Closed, 1, ["name"]),
        (Open, 0, ["name", "size", "red", "green"]),
        (type("Heir", (Base,), {}), 0, ["size", "red", "green"]),
        (Plain, 0, []),
    ],
)
def test_options_of_a_class(kind, given, options):
    assert options_of(kind, given) == options


def test_all_options_of_a_storage():
    """As a site gives them: none is missing in the sentence, and none of them is refused."""
    from resto.staticfiles import StaticFilesStorage
    from resto.storage import AsyncStorage, HybridStorage

    for kind in (AsyncStorage, HybridStorage, StaticFilesStorage):
        kind(**dict.fromkeys(options_of(kind)))
    assert {"location", "allow_overwrite", "timeout", "hosts"} <= set(options_of(HybridStorage))
    assert "allow_overwrite" not in options_of(StaticFilesStorage)


@pytest.mark.parametrize(
    ("wrong", "common", "question"),
    [
        ("publsh", "", "Did you mean 'publish'?"),
        ("Publish", "", "Did you mean 'publish'?"),
        ("xyz", "", ""),
        ("pub-x", "pub", ""),
    ],
)
def test_question(wrong, common, question):
    assert did_you_mean(wrong, ["publish", "auth"], common) == question


def test_sentence():
    assert unknown_options(Base, ["sise", "colour"], ["size"]) == (
        "Base has no option colour, sise; it has size",
        "Did you mean 'size'?",
    )
    assert unknown_options(Plain, ["x"], []) == ("Plain has no option x; it has none", "")

import errno
from contextlib import nullcontext
from pathlib import PurePosixPath

import pytest
from django.core.exceptions import SuspiciousFileOperation
from hypothesis import given
from hypothesis import strategies as st

from resto.names import (
    MAX_PART_BYTES,
    TEMPORARY_PREFIX,
    canonical_name,
    clean_directory,
    clean_name,
    is_canonical,
    is_temporary,
    is_unfinished,
    problem_of_part,
    problems_of_parts,
    quote_name,
    require_canonical,
    require_new,
    require_possible,
    require_storable,
    restored_name,
    shown,
    temporary_name,
    unquote_name,
)


CONTROL = [chr(number) for number in [*range(0x20), 0x7F]]
UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

characters = st.characters(exclude_categories=["Cs"], exclude_characters=[*CONTROL, "/", "\\"])
parts = st.text(characters, min_size=1).filter(lambda part: part not in (".", ".."))
names = st.lists(parts, min_size=1, max_size=4).map("/".join).filter(lambda name: not is_temporary(name))
# What is most likely to go wrong, often.
texts = st.text(st.one_of(st.sampled_from("/\\.. %?#\n\0\udcff"), st.characters()))


@given(names)
def test_canonical_name_is_left_alone(name):
    assert clean_name(name) == name
    assert clean_directory(name) == name


@given(texts)
def test_name_is_made_canonical_or_refused(text):
    try:
        name = clean_name(text)
    except (ValueError, SuspiciousFileOperation):
        return
    assert clean_name(name) == name
    assert not {"", ".", ".."} & set(name.split("/"))
    assert not set(CONTROL) & set(name)
    assert name.encode().decode() == name


@given(texts)
def test_directory_is_made_canonical_or_refused(text):
    try:
        name = clean_directory(text)
    except SuspiciousFileOperation:
        return
    assert clean_directory(name) == name
    assert name == "" or not {"", ".", ".."} & set(name.split("/"))


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("a.txt", "a.txt"),
        ("./a.txt", "a.txt"),
        ("d//a.txt", "d/a.txt"),
        ("d/./e/a.txt", "d/e/a.txt"),
        ("d\\a.txt", "d\\a.txt"),
        ("d/", "d"),
        ("d/../a.txt", "a.txt"),
        ("d/e/../../a.txt", "a.txt"),
        ("d/.", "d"),
        ("d\\", "d\\"),
        ("...", "..."),
        ("a..b", "a..b"),
        (" a ", " a "),
        ("d.resto-/a", "d.resto-/a"),
        ("été/日本.txt", "été/日本.txt"),
    ],
)
def test_clean_name(name, cleaned):
    assert clean_name(name) == cleaned


def test_empty_name_is_refused():
    with pytest.raises(ValueError, match="must not be empty"):
        clean_name("")


def test_path_is_the_name_that_it_spells():
    assert [clean(PurePosixPath("d/a.txt")) for clean in (clean_name, clean_directory)] == ["d/a.txt"] * 2


@pytest.mark.parametrize("name", [None, 5, 0, 1.5, b"a", b"", object, ["a"]])
def test_what_is_no_name_at_all_is_refused(name):
    for clean in (clean_name, clean_directory):
        with pytest.raises(TypeError):
            clean(name)
    assert canonical_name(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/a.txt", "absolute"),
        ("//host/a.txt", "absolute"),
        ("..", "leads out of its directory by '..'"),
        ("../a.txt", "leads out of its directory by '..'"),
        ("d/../../d/a.txt", "leads out of its directory by '..'"),
        ("d\\..\\a.txt", "contains '..'"),
        ("d/..", "names a directory"),
        (".", "names a directory"),
        ("/", "absolute"),
        ("d/\udcff", "UTF-8"),
        ("\ud800/a", "UTF-8"),
        (".resto-note.txt", "a name of resto's own files: all that begin with '.resto-'"),
        ("d/.resto-0123", "a name of resto's own files"),
        *((f"d/a{character}b", "control character") for character in CONTROL),
        *((f"d{character}/a", "control character") for character in CONTROL),
    ],
)
def test_name_is_refused(name, problem):
    with pytest.raises(SuspiciousFileOperation, match=problem):
        clean_name(name)


@pytest.mark.parametrize("name", ["", ".", "./", "./."])
def test_root_directory(name):
    assert clean_directory(name) == ""


def test_directory_may_end_in_a_slash():
    assert clean_directory("d/e/") == "d/e"


@pytest.mark.parametrize("name", ["/", "/d", "..", "d/../..", "d\0", "d\r\n", "\udcff"])
def test_directory_is_refused(name):
    with pytest.raises(SuspiciousFileOperation):
        clean_directory(name)


def test_lone_surrogate_can_be_logged():
    """The text of the error is printable, whatever the name was."""
    with pytest.raises(SuspiciousFileOperation) as caught:
        clean_name("\udcff")
    assert str(caught.value).encode()


@given(names)
def test_quoted_name_can_be_unquoted(name):
    assert unquote_name(quote_name(name)) == name


@given(names)
def test_quoted_name_leaves_nothing_to_interpretation(name):
    quoted = quote_name(name)
    assert quoted.count("/") == name.count("/")
    assert set(quoted) <= UNRESERVED | {"%", "/"}


def test_quote_name():
    assert quote_name("d e/100%?#é+&.txt") == "d%20e/100%25%3F%23%C3%A9%2B%26.txt"


@given(st.binary())
def test_foreign_bytes_can_be_unquoted(data):
    """What another program has stored is listed, and refused as a name where it is not UTF-8."""
    path = "".join(f"%{byte:02X}" for byte in data)
    assert unquote_name(path).encode(errors="surrogateescape") == data


@pytest.mark.parametrize("part", ["a" * MAX_PART_BYTES, "é" * (MAX_PART_BYTES // 2)])
def test_longest_part_is_storable(part):
    require_storable(f"{part}/{part}")


@pytest.mark.parametrize("part", ["a" * (MAX_PART_BYTES + 1), "é" * (MAX_PART_BYTES // 2 + 1)])
def test_part_that_is_too_long_is_refused(part):
    with pytest.raises(SuspiciousFileOperation, match="256 bytes long, file systems take 255"):
        require_storable(f"d/{part}/a")


@given(names)
def test_temporary_name(name):
    """A temporary name is in the same directory, is known as one, is storable, and is used once."""
    temporary = temporary_name(name)
    assert temporary.rpartition("/")[0] == name.rpartition("/")[0]
    assert is_temporary(temporary)
    assert temporary.rpartition("/")[2].startswith(TEMPORARY_PREFIX)
    assert temporary != temporary_name(name)
    require_storable(temporary.rpartition("/")[2])


def test_file_in_a_directory_with_the_prefix_is_not_temporary():
    assert not is_temporary(".resto-d/a.txt")


@given(st.one_of(parts, texts))
def test_a_part_has_a_problem_unless_it_is_a_canonical_name_that_can_be_stored(part):
    try:
        usable = clean_name(part) == part and "/" not in part
        require_storable(part)
    except (ValueError, SuspiciousFileOperation):
        usable = False
    assert (problem_of_part(part) is None) is usable


@given(st.lists(st.one_of(parts, texts, st.sampled_from(["a", "a/b", "a/", "/", "", "a.txt"]))))
def test_problems_of_many_parts_are_those_of_each(many):
    assert problems_of_parts(many) == {part: problem_of_part(part) for part in many if problem_of_part(part)}


@pytest.mark.parametrize(("length", "usable"), [(MAX_PART_BYTES, True), (MAX_PART_BYTES + 1, False)])
def test_an_ordinary_part_may_be_too_long(length, usable):
    assert (problem_of_part("x" * length) is None) is usable
    assert (problems_of_parts(["a", "x" * length]) == {}) is usable


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (f"{TEMPORARY_PREFIX}0123456789abcdef", "unfinished upload"),
        (
            f"{TEMPORARY_PREFIX}note.txt",
            "names that begin with '.resto-' are for files of resto's own, and this is none",
        ),
        ("a\n", "control character"),
        ("ä" * 128, "256 bytes long"),
        ("\udcff", "UTF-8"),
    ],
)
def test_problems_of_parts_are_told(part, text):
    assert text in problem_of_part(part)


# Names of new files.

# C1 controls, what ends a line, and what turns the direction of a text.
MISLEADING = [*map(chr, range(0x80, 0xA0)), *"\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"]


@pytest.mark.parametrize("character", MISLEADING, ids=ascii)
@pytest.mark.parametrize("name", ["a{}b", "{}", "d{}/a"])
def test_character_that_misleads_is_refused_in_a_new_name(name, character):
    name = name.format(character)
    assert clean_name(name) == name  # there may be such a file
    with pytest.raises(SuspiciousFileOperation, match="ends a line, or turns the direction") as refusal:
        require_new(name)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("part", [".resto-bob", ".resto-", ".resto.master", ".no-index", ".DAV"])
@pytest.mark.parametrize("name", ["{}", "{}/cv.txt", "d/{}", "d/{}/e/a"])
def test_what_is_not_for_files_of_a_site_is_refused_in_any_part_of_a_new_name(name, part):
    with pytest.raises(SuspiciousFileOperation, match="not for files of a site"):
        require_new(name.format(part))


@pytest.mark.parametrize(
    "name", ["a.txt", "resto-bob/a", ".restore", "d/.well-known/x", "no-index", "été/日本.txt", "a b"]
)
def test_other_names_are_good_for_new_files(name):
    require_new(name)


@given(names)
def test_new_name_is_storable_and_shown_as_it_is_but_for_spaces(name):
    try:
        require_new(name)
    except (SuspiciousFileOperation, OSError):  # the second if it is too long
        return
    require_storable(name)
    assert not {*MISLEADING, *CONTROL}.intersection(name)
    assert not any(part.startswith(TEMPORARY_PREFIX) for part in name.split("/"))


# Names that come from elsewhere.


@given(st.one_of(names, texts))
def test_name_is_canonical_if_it_is_as_it_is_made(text):
    try:
        expected = clean_name(text) == text
    except (ValueError, SuspiciousFileOperation):
        expected = False
    assert is_canonical(text) is expected
    if expected:
        require_canonical(text)
    else:
        with pytest.raises(SuspiciousFileOperation, match="is not the name of a file"):
            require_canonical(text)


@given(st.text(st.one_of(st.characters(codec=None), st.sampled_from([*MISLEADING, *CONTROL, "\udcff"]))))
def test_any_text_is_shown_in_one_printable_line(text):
    assert shown(text).isprintable()
    assert len(shown(text).splitlines()) <= 1
    if text.isprintable():
        assert shown(text) == text


@given(st.lists(st.text(characters, min_size=1, max_size=300), min_size=1, max_size=30).map("/".join))
def test_name_that_no_file_can_have_is_refused(name):
    is_too_long = len(name.encode()) > 4095 or any(len(part.encode()) > 255 for part in name.split("/"))
    with pytest.raises(OSError, match="File name too long") if is_too_long else nullcontext() as info:
        require_possible(name)
    if info is not None:
        assert (info.value.errno, info.value.filename) == (errno.ENAMETOOLONG, name)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "/".join(["a" * 255] * 15) + "/" + "b" * 255])
def test_name_that_a_file_can_have_just_so(name):
    require_possible(name)
    with pytest.raises(OSError, match="File name too long"):
        require_possible(f"{name}éé")


@given(names)
def test_only_names_that_are_made_up_for_uploads_are_those_of_unfinished_ones(name):
    assert is_unfinished(temporary_name(name))
    assert not is_unfinished(restored_name(name))
    assert not is_unfinished(f"{temporary_name(name)}/a")

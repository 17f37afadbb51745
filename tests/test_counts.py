"""How commands say how many of something there are."""

import pytest

from resto.counts import amount_told, counted, counted_up_to, size_told


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_234, "1,234 files")])
def test_counts(number, text):
    assert counted(number, "file") == text


def test_counts_that_have_an_end():
    assert counted_up_to(10_000, has_more=True) == "more than 10 000"
    assert counted_up_to(10_000, has_more=False) == "10000"


@pytest.mark.parametrize(("size", "text"), [(None, "missing"), (0, "0 bytes"), (1, "1 byte"), (1_234, "1,234 bytes")])
def test_sizes(size, text):
    assert size_told(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (12_345_678_900, "12 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_amounts(size, text):
    assert amount_told(size) == text

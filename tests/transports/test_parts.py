"""Versions of files, by what hosts say of them."""

from hypothesis import given
from hypothesis import strategies as st

from resto.transports import Version


VERSIONS = st.builds(Version, st.integers(0, 2), st.sampled_from(["", '"1"', '"2"']), st.sampled_from(["", "1", "2"]))


@given(before=VERSIONS, now=VERSIONS)
def test_version_is_the_same_if_all_that_counts_is(before, now):
    """A tag counts more than a time, which a part need not come with; what says nothing is never the same."""
    is_same = now.is_same_as(before)
    assert not is_same or now.size == before.size
    if before.tag:
        assert is_same is ((now.size, now.tag) == (before.size, before.tag))
    elif before.modified:
        assert is_same is ((now.size, now.modified) == (before.size, before.modified))
    else:
        assert (before.is_known, is_same) == (False, False)

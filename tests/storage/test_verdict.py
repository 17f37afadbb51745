"""What a directory is, by what both sides say of it."""

from hypothesis import given
from hypothesis import strategies as st

from resto.master.identity import Found, Identity
from resto.record.identities import MASTER, Known
from resto.storage.verdict import problem_of


IDS = st.sampled_from(["", "a", "b"])
KNOWN = st.builds(
    lambda identity, mark, following, old: Known(
        "default", MASTER, identity, mark, following, dict.fromkeys([*old, mark], 1.0), {}, {}, "", 0.0
    ),
    IDS,
    st.sampled_from("mn"),
    st.sampled_from(["", "n", "o"]),
    st.lists(st.sampled_from("op")),
)


@given(st.none() | st.builds(Identity, IDS, st.sampled_from("mnopq")), st.none() | KNOWN)
def test_directory_is_believed_only_if_both_say_the_same(found, known):
    problem = problem_of("/media", None if found is None else Found(found, (0,) * 5), known)
    if known is None or not known.identity:
        assert (problem is None) is (found is None)
    elif found is None or found.id != known.identity:
        assert problem is not None
    else:
        assert (problem is None) is (found.mark in {known.mark, known.next_mark} - {""})

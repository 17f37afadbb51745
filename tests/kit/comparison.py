"""Any two trees of files, and what a full comparison finds in them."""

from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

from resto.repair.sync import Difference, SyncOptions, synchronize


PARTS = st.sampled_from(["a", "b", "c.txt", ".hidden", "à #?%.txt"])
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def consistent(tree):
    """The part of a tree in which no name is that of a file and of a directory."""
    return {name: content for name, content in tree.items() if not any(other.startswith(f"{name}/") for other in tree)}


TREES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=8).map(consistent)


def write(root, tree):
    for name, content in tree.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def compare(storage, told=None, **options):
    """Compare; return the report, and what was found. How far it is, is added to what was told."""
    events, told = [], [] if told is None else told
    report = synchronize(storage, SyncOptions(**options), events.append, told.append)
    assert all(one.done <= (one.total or 0) for one in told)
    assert all(one.sent_bytes <= (one.total_bytes or 0) for one in told)
    assert all(before.done <= after.done and before.is_final <= after.is_final for before, after in pairwise(told))
    return report, events


def found(events):
    """Kind, name and state of each difference."""
    return sorted((event.kind, event.name, event.state) for event in events if isinstance(event, Difference))

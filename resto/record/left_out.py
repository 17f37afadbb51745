"""Hosts that are left out, where there is no master copy: they have lost their files, and are being filled.

A host begins to be left out, and counts again, a little after that is recorded: changes decide by the time at which they are
recorded themselves, which their rows say, and whoever judges rows looks here afterwards. So all of them agree on each change,
although processes know at different times, and clocks differ.
"""

from collections.abc import Mapping
from math import inf

from resto.record import identities, leases, rows
from resto.record.identities import COUNTS, LEFT_OUT, MARGIN, NEW, Known
from resto.record.rows import FILL
from resto.record.truth import LeftOut


__all__ = ["count_again", "left_out_of"]


def left_out_of(known: Mapping[str, Known]) -> LeftOut:
    """Return which hosts of a storage are left out, and were.

    Args:
        known: What is known of its hosts, as `resto.record.identities.find_all` returns it.
    """
    marks = {host: one.marks for host, one in known.items() if LEFT_OUT in one.marks}
    return LeftOut(
        {host: (its[LEFT_OUT], its.get(COUNTS, inf)) for host, its in marks.items()},
        {host: one.identity for host, one in known.items() if one.identity},
    )


def count_again(storage: str, host: str) -> bool:
    """Let a host count again that has been filled, unless a row says that it still lags, or it is gone; return whether it does.

    Rows of changes that are under way are no obstacle: these do not count it to their end.

    Args:
        storage: Alias of the storage in ``STORAGES``.
        host: The host as it stands in the settings.

    Raises:
        DatabaseError: It could not be recorded, or read.
    """
    lags = {"(attempts > 0 OR quiet_until <= %s)": leases.clock()}, {"opened_by = %s": FILL}
    known = identities.find_all(storage).get(host)
    if known is None or known.state != NEW or any(rows.select_of_host(storage, host, one, 1) for one in lags):
        return False
    identities.note(known, state="", marks={**known.marks, COUNTS: leases.clock() + MARGIN})
    return True

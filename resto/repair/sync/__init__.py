"""The full comparison: everything that a storage has with everything that its hosts have, asked of all hosts at once.

What differs is replicated by state, as a save does, so that it may run while the site saves and deletes; how a file is sent or
removed is the storage's affair. Look first at `with_master`, or at `between_hosts` where there is no master copy.
"""

from typing import cast

from resto.progress import Watcher, ignore
from resto.repair.sync.between_hosts import ComparisonBetweenHosts
from resto.repair.sync.report import (
    Difference,
    Disagreement,
    Found,
    HostReport,
    Notice,
    SyncOptions,
    SyncReport,
)
from resto.repair.sync.with_master import ComparisonWithMaster
from resto.storage import DistributedStorage, HybridStorage, ReplicatedStorage


__all__ = ["Difference", "Disagreement", "HostReport", "Notice", "SyncOptions", "SyncReport", "synchronize"]


def synchronize(
    storage: ReplicatedStorage,
    options: SyncOptions,
    found: Found,
    compared: Watcher = ignore,
) -> SyncReport:
    """Compare a storage with its hosts, and replicate what differs.

    Without a master copy, hosts are compared with each other, and what the durable record decides is repaired.

    Args:
        storage: What to compare.
        options: How.
        found: Told each difference, when it is settled, and what is not compared.
        compared: Told how far it is: how many files agree, or were dealt with, of those in directories that were looked into.

    Returns:
        What it came to. A host that fails is reported there, and does not stop the others.
    """
    if isinstance(storage, HybridStorage):
        return ComparisonWithMaster(storage, options, found, compared).run()
    return ComparisonBetweenHosts(cast("DistributedStorage", storage), options, found, compared).run()


# As in `resto.storage`.
for _public in (Difference, Disagreement, HostReport, Notice, SyncOptions, SyncReport):
    _public.__module__ = __name__

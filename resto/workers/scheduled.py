"""Drains and comparisons as jobs of a schedule, for whichever queue has one."""

from resto.exceptions import ConfigurationError
from resto.repair.refusals import refused_storages
from resto.repair.sync import SyncOptions
from resto.repair.traced import TracedDrain, traced_sync
from resto.storage.finding import replicated_storages


__all__ = ["drain_all", "sync_all"]


def drain_all() -> dict[str, int]:
    """Replicate what is due, as ``manage.py resto_drain`` does; return how many names were sent, and how many failed.

    What has failed is tried again by a later drain.

    Raises:
        ConfigurationError: A directory here is not the master copy, or a host is not what it was. Nothing was sent on its account.
        DatabaseError: The record cannot be used.
    """
    with TracedDrain() as drain:
        drain.drain()
    total = drain.total
    problems = [problem for _, problem in (*total.refused, *total.refused_hosts)]
    if problems:
        raise ConfigurationError(problems[0])
    return {"sent": total.done, "failed": total.failed + total.skipped}


def sync_all() -> dict[str, bool]:
    """Compare all storages with their hosts, as ``manage.py resto_sync`` does; return whether each agrees then.

    Raises:
        ConfigurationError: A directory here is not the master copy. Other storages were compared.
        DatabaseError: The record cannot be used.
    """
    refused = refused_storages([])
    agreeing = {
        alias: traced_sync(alias, storage, SyncOptions(), lambda event: None).agrees
        for alias, storage in replicated_storages().items()
        if storage.hosts and alias not in refused
    }
    if refused:
        raise ConfigurationError(next(iter(refused.values())))
    return agreeing

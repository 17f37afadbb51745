"""The storages: they keep every file on every host, as Django's storage API asks for it.

A storage is composed of a transport, which speaks to hosts, and an executor, which decides where and when to do so; it knows
neither HTTP nor threads. What hosts may have missed is recorded by `resto.record`, the local files are those of `resto.master`.
Look first into `hybrid`, at `HybridStorage._save`, then into `replicating`, and into `replication`, by which all its changes reach a host.
"""

from resto.storage.background import AsyncStorage
from resto.storage.base import ReplicatedStorage
from resto.storage.composition import StorageOptions
from resto.storage.distributed import DistributedStorage
from resto.storage.finding import is_replicated
from resto.storage.hybrid import HybridStorage


__all__ = [
    "AsyncStorage",
    "DistributedStorage",
    "HybridStorage",
    "ReplicatedStorage",
    "StorageOptions",
    "is_replicated",
]

# What pickles, queues and migrations write down. It outlives any module below.
for _public in (
    AsyncStorage,
    DistributedStorage,
    HybridStorage,
    ReplicatedStorage,
    StorageOptions,
    is_replicated,
):
    _public.__module__ = __name__

"""Storages for Django that keep every file on every host.

A storage is composed of a transport, which speaks to hosts, and an executor, which decides where and when to do so.
It knows neither HTTP nor threads.
"""

from resto.storage.base import ReplicatedStorage, StorageOptions, is_replicated
from resto.storage.distributed import DistributedStorage
from resto.storage.hybrid import AsyncStorage, HybridStorage


__all__ = [
    "AsyncStorage",
    "DistributedStorage",
    "HybridStorage",
    "ReplicatedStorage",
    "StorageOptions",
    "is_replicated",
]

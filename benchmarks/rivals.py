"""Those who save to several hosts. Each is a context that yields what saves a file: a function of a name and a content."""

import functools
import os
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import requests
import urllib3
from django.core.files.base import ContentFile

from benchmarks.floor import Floor
from benchmarks.hosts import Hosts


__all__ = [
    "DISTRIBUTED",
    "DJANGO_RESTO",
    "FLOOR",
    "HYBRID",
    "REQUESTS",
    "RIVALS",
    "STORAGES",
    "URLLIB3",
    "Save",
    "opened",
    "through",
]

HYBRID, DISTRIBUTED, DJANGO_RESTO = "resto Hybrid", "resto Distributed", "django-resto 1.3 Hybrid"
FLOOR, URLLIB3, REQUESTS = "floor: raw sockets", "urllib3 pool, threads", "requests Session, threads"

Save = Callable[[str, bytes], object]


# Storages of Django.


def resto_hybrid(hosts: Hosts, location: str, **options: Any) -> Any:
    from resto.storage import HybridStorage

    return HybridStorage(hosts.addresses, _base_url(hosts), location, **_transport_options(hosts), **options)


def resto_distributed(hosts: Hosts, location: str) -> Any:
    from resto.storage import DistributedStorage

    return DistributedStorage(hosts.addresses, _base_url(hosts), **_transport_options(hosts))


def django_resto_hybrid(hosts: Hosts, location: str) -> Any:
    from django_resto.storage import HybridStorage

    if hosts.ca_bundle:
        # It has no option for this. Three certificates are read faster than the system's 140, at each connection.
        os.environ["SSL_CERT_FILE"] = hosts.ca_bundle
        urllib.request.install_opener(None)  # the old one may remember other certificates
    return HybridStorage(hosts.addresses, _base_url(hosts), location)


def _base_url(hosts: Hosts) -> str:
    return f"{hosts.scheme}://media.example.com/"


def _transport_options(hosts: Hosts) -> dict[str, Any]:
    return {"transport_options": {"ca_bundle": hosts.ca_bundle}} if hosts.ca_bundle else {}


STORAGES: dict[str, Callable[[Hosts, str], Any]] = {
    HYBRID: resto_hybrid,
    DISTRIBUTED: resto_distributed,
    DJANGO_RESTO: django_resto_hybrid,
}


# What one could write oneself: without Django, without a local file.


@contextmanager
def _floor(hosts: Hosts, callers: int) -> Iterator[Save]:
    context = ssl.create_default_context(cafile=hosts.ca_bundle) if hosts.ca_bundle else None
    with Floor(hosts.addresses, context) as floor:
        yield floor.save


@contextmanager
def _urllib3(hosts: Hosts, callers: int) -> Iterator[Save]:
    options = {"ca_certs": hosts.ca_bundle} if hosts.ca_bundle else {}
    with urllib3.PoolManager(len(hosts.addresses), maxsize=callers, **options) as pool:

        def put(url: str, content: bytes) -> int:
            return pool.urlopen("PUT", url, body=content).status

        with _in_threads(put, hosts, callers) as save:
            yield save


@contextmanager
def _requests(hosts: Hosts, callers: int) -> Iterator[Save]:
    with requests.Session() as session:
        session.mount(f"{hosts.scheme}://", requests.adapters.HTTPAdapter(len(hosts.addresses), callers))
        session.verify, session.trust_env = hosts.ca_bundle or True, False  # to look into the environment takes time

        def put(url: str, content: bytes) -> int:
            return session.put(url, data=content).status_code

        with _in_threads(put, hosts, callers) as save:
            yield save


@contextmanager
def _in_threads(put: Callable[[str, bytes], int], hosts: Hosts, callers: int) -> Iterator[Save]:
    bases = [f"{hosts.scheme}://{address}/" for address in hosts.addresses]
    with ThreadPoolExecutor(len(bases) * callers) as executor:

        def save(name: str, content: bytes) -> None:
            statuses = list(executor.map(functools.partial(put, content=content), [base + name for base in bases]))
            assert statuses == [201] * len(bases), statuses

        yield save


PROGRAMS: Mapping[str, Callable[[Hosts, int], AbstractContextManager[Save]]] = {
    FLOOR: _floor,
    URLLIB3: _urllib3,
    REQUESTS: _requests,
}
RIVALS = [*STORAGES, *PROGRAMS]


@contextmanager
def opened(names: list[str], hosts: Hosts, location: str, callers: int = 1) -> Iterator[dict[str, Save]]:
    """Open some rivals.

    Args:
        names: Which ones.
        hosts: Where they save files.
        location: A folder for the master copies of those who have one.
        callers: Threads that save files at the same time.
    """
    with ExitStack() as stack:
        saves: dict[str, Save] = {}
        for name in names:
            if name in STORAGES:
                saves[name] = through(STORAGES[name](hosts, f"{location}/{name}"))
            else:
                saves[name] = stack.enter_context(PROGRAMS[name](hosts, callers))
        yield saves


def through(storage: Any) -> Save:
    """Return what saves a file through a storage of Django."""
    return lambda name, content: storage.save(name, ContentFile(content))

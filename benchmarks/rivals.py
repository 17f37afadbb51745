"""The storages that are compared."""

from collections.abc import Callable
from typing import Any


__all__ = ["RIVALS"]

BASE_URL = "http://media.example.com/"


def resto(addresses: list[str], location: str) -> Any:
    from resto.storage import HybridStorage

    return HybridStorage(addresses, BASE_URL, location)


def django_resto(addresses: list[str], location: str) -> Any:
    from django_resto.storage import HybridStorage

    return HybridStorage(addresses, BASE_URL, location)


RIVALS: dict[str, Callable[[list[str], str], Any]] = {"resto": resto, "django-resto 1.3": django_resto}

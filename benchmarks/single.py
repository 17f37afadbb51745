"""How long a small save to one host takes, beside storages that know only one."""

import os
import tempfile
from typing import Any

from django.core.files.storage import FileSystemStorage
from django.utils.module_loading import import_string

from benchmarks.hosts import Hosts, serve
from benchmarks.results import Row
from benchmarks.rivals import FLOOR, RIVALS, opened, through
from benchmarks.saves import save_in_turn
from benchmarks.sizes import Sizes
from buckets import bucket, serve_s3


__all__ = ["measure"]


def measure(sizes: Sizes) -> list[Row]:
    """Save small files to one host."""
    with (
        tempfile.TemporaryDirectory(prefix="resto-bench-") as location,
        serve(1) as hosts,
        serve_s3() as s3,
        opened([*RIVALS[:3], FLOOR], hosts, location) as saves,
    ):
        others = {
            "django-webdav-storage": _webdav(hosts),
            "django-storages S3, rclone serve s3": _s3(s3),
            "FileSystemStorage, no host": FileSystemStorage(f"{location}/local"),
        }
        saves |= {rival: through(storage) for rival, storage in others.items()}
        return save_in_turn("1 KB save, 1 host", saves, os.urandom(1_000), max(sizes.saves // 2, 1))


def _webdav(hosts: Hosts) -> Any:
    from django_webdav_storage.storage import WebDavStorage

    return WebDavStorage(webdav_url=f"http://{hosts.addresses[0]}/")


def _s3(url: str) -> Any:
    configured = bucket(url, region_name="us-east-1", file_overwrite=False)
    return import_string(configured["BACKEND"])(**configured["OPTIONS"])

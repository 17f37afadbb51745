"""The Django site that is measured: files in memory, and no database unless a part makes one."""

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings


__all__ = ["configure"]

MEMORY = Path("/dev/shm")

# What other programs may be told by the environment, and resto never asks for: proxies and certificates.
OTHERS = re.compile("_proxy$|ca_bundle$|^ssl_cert_|^rclone_")


def configure(**more: Any) -> None:
    """Set Django up, and forget what the environment says of proxies and certificates; keep files in memory where there is /dev/shm, to measure the packages and not the disk."""
    for variable in [name for name in os.environ if OTHERS.search(name.lower())]:
        del os.environ[variable]
    if MEMORY.is_dir() and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    # django-resto's timeout is for a whole upload, resto's for a silence.
    settings.configure(RESTO_TIMEOUT=60, LOGGING_CONFIG=None, INSTALLED_APPS=["resto"], **more)
    django.setup()
    # What is logged is formatted and written, as on any site.
    logging.basicConfig(filename=os.devnull)

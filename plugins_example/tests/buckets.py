"""Buckets of a server that speaks S3."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config


KEY, SECRET = "resto-access", "resto-secret-key"


def bucket(url, **options):
    """What ``STORAGES`` has for one."""
    config = Config(connect_timeout=20, read_timeout=20, retries={"total_max_attempts": 1})
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": "media",
            "endpoint_url": url,
            "access_key": KEY,
            "secret_key": SECRET,
            "client_config": config,
            **options,
        },
    }


@contextmanager
def serve_s3():
    """Serve S3, with one bucket, from memory; yield the URL."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = found.getsockname()
    url = "http://{}:{}".format(*address)
    # Not the one of the system, which may be too old to know S3.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = [shutil.which("rclone", path=path), "serve", "s3", ":memory:", "--addr", url.removeprefix("http://")]
    with subprocess.Popen([*command, "--auth-key", f"{KEY},{SECRET}"], stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 20
            while not is_open(address):
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)  # rclone does not tell when it listens
            create_bucket(url)
            yield url
        finally:
            server.terminate()


def is_open(address):
    with socket.socket() as found:
        return found.connect_ex(address) == 0


def create_bucket(url):
    """Make it: a storage does not."""
    boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    ).create_bucket(Bucket="media")

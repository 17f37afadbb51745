"""What tests do with a disk, and what a disk does to them."""

import os

from django.core.files.base import ContentFile


def store(master, name, content=b"content", alternative=None):
    return master.store(name, ContentFile(content), alternative)[0]


def mode_of(path):
    return path.stat().st_mode & 0o7777


def fail_with(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail

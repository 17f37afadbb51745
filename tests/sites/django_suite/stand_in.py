"""A storage of resto in the place of Django's `FileSystemStorage`, for tests that know no other."""

from django.core.files import storage as package
from django.core.files.storage import filesystem
from django.utils.deconstruct import deconstructible


def install(cls):
    """Let everything that imports Django's class from now on have another, whose ``__init__`` takes the same arguments."""
    cls.__name__ = cls.__qualname__ = "FileSystemStorage"
    cls.__module__ = filesystem.__name__
    stand_in = deconstructible(cls, path="django.core.files.storage.FileSystemStorage")
    package.FileSystemStorage = filesystem.FileSystemStorage = stand_in


def modes(positional):
    """Name what may follow location and base URL."""
    names = ("file_permissions_mode", "directory_permissions_mode", "allow_overwrite")
    return dict(zip(names, positional, strict=False))

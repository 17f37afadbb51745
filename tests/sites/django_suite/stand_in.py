"""A storage of resto in the place of Django's `FileSystemStorage`, for tests that know no other."""

from django.core.files import storage as package
from django.core.files.storage import filesystem
from django.utils.deconstruct import deconstructible


def install(make_class):
    """Let everything that imports Django's class from now on have another, whose ``__init__`` takes the same arguments.

    Args:
        make_class: Called with Django's, returns the other one.
    """
    made = make_class(filesystem.FileSystemStorage)
    made.__name__ = made.__qualname__ = "FileSystemStorage"
    made.__module__ = filesystem.__name__
    stand_in = deconstructible(made, path="django.core.files.storage.FileSystemStorage")
    package.FileSystemStorage = filesystem.FileSystemStorage = stand_in


def modes(positional):
    """Name what may follow location and base URL."""
    names = ("file_permissions_mode", "directory_permissions_mode", "allow_overwrite")
    return dict(zip(names, positional, strict=False))

"""Static files on every host: ``collectstatic`` publishes to all of them.

A site names one of the storages in ``STORAGES["staticfiles"]``, and adds this application to ``INSTALLED_APPS``, before
``django.contrib.staticfiles``: its ``collectstatic`` sends only what has changed, and all of it at the end. How files reach hosts is known to
`resto.storage`. Look first at `storage.StaticFilesStorage.publishing`.
"""

from resto.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage


__all__ = ["ManifestStaticFilesStorage", "StaticFilesStorage"]

# As in `resto.storage`.
for _public in (ManifestStaticFilesStorage, StaticFilesStorage):
    _public.__module__ = __name__

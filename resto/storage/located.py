"""Where the files of a master copy are, and which name means which of them."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

from resto.exceptions import ConfigurationError
from resto.master.copy import MasterCopy
from resto.names import clean_name, is_ordinary, path_text, relative_name
from resto.storage.base import ReplicatedStorage
from resto.storage.composition import require_apart
from resto.storage.kinds import require_directory_mode, require_file_mode, require_path


__all__ = ["LocatedStorage"]

# What says where files are. Subclasses of Django's `FileSystemStorage` override these, such as to give each tenant a directory.
_LOCATING = ("base_location", "location")

# What `path` is asked for where no name is given. Who gives directories by names gives this one another.
_SAMPLE = "resto/sample.txt"


class LocatedStorage(ReplicatedStorage):
    """A storage with a master copy, which is one directory. Subclasses read and write there."""

    _master: MasterCopy
    _assigned: FileSystemStorage | None = None

    @property
    def master(self) -> MasterCopy:
        """The local files."""
        return self._master

    @property
    def _reader(self) -> FileSystemStorage:
        return self._assigned or self._master

    def _compose(self) -> Any:
        require_path("MEDIA_ROOT", self._master.base_location)
        # Django's own default is "", the working directory: hosts would get the code of the site, and its secrets.
        if not self._master.base_location:
            raise ConfigurationError("MEDIA_ROOT is not set", "Set it, or the option 'location'.", "E017")
        self._require_directory()
        composed = super()._compose()
        require_apart(self._master.location, composed.transports)
        return composed

    def _examinations(self) -> list[Callable[[], object]]:
        return [
            *super()._examinations(),
            lambda: require_file_mode(self.file_permissions_mode),
            lambda: require_directory_mode(self.directory_permissions_mode),
        ]

    def _require_directory(self) -> None:
        if "://" in str(self._master.base_location):
            problem = f"{str(self._master.base_location)!r} is a URL, and should be the directory of the master copy"
            raise ConfigurationError(problem, "Set MEDIA_ROOT, or the option 'location', to a directory.", "E024")
        if os.path.realpath(self._master.location) == "/":
            problem = "the directory of the master copy is '/', whose files would all be sent"
            raise ConfigurationError(problem, "Set MEDIA_ROOT, or the option 'location', to one of its own.", "E024")
        place, file = Path(self._master.location), None
        with suppress(PermissionError):  # of a directory above it: whoever saves is told
            file = next((one for one in (place, *place.parents) if one.is_file()), None)
        if file is not None:
            what = "the directory" if file == place else "a parent of the directory"
            problem = f"{file} is a file, and should be {what} of the master copy"
            raise ConfigurationError(problem, "Correct MEDIA_ROOT, or the option 'location'.", "E024")

    def require_sound_options(self) -> None:
        super().require_sound_options()
        for attribute in _LOCATING:
            if not self._is_own(attribute):
                raise self._elsewhere(attribute)
        self._require_in_place(_SAMPLE)
        if self._assigned is not None:
            problem = (
                f"{self.location} was assigned to the storage as its location, and hosts have the files of another one"
            )
            hint = f"Only read from it; what is written or deleted is in {self._master.location}."
            raise ConfigurationError(problem, hint, "E022")

    def _require_writable(self, name: str) -> None:
        """Raise unless a file may be written or deleted: the options are sound, and the name is free for it."""
        self.require_sound_options()
        self._require_in_place(name)
        self.reserved.require_free(name)

    def _require_in_place(self, name: str) -> None:
        # A subclass may override `path` and leave files where they are: to log, or to seem to be far away.
        if self._is_own("path"):
            return
        try:
            is_here = os.path.abspath(self.path(name)) == os.path.abspath(self._reader.path(name))  # noqa: PTH100 - it follows no link
        except NotImplementedError:
            return
        except Exception as error:
            raise self._elsewhere("path") from error
        if not is_here:
            raise self._elsewhere("path")

    def _is_own(self, attribute: str) -> bool:
        is_own = getattr(type(self), attribute) is getattr(LocatedStorage, attribute)
        return is_own or self._who_has(attribute).__module__.startswith("resto.")

    def _who_has(self, attribute: str) -> type:
        return next(kind for kind in type(self).__mro__ if attribute in vars(kind))

    def _elsewhere(self, attribute: str) -> ConfigurationError:
        owner = self._who_has(attribute)
        problem = f"{owner.__qualname__} overrides {attribute!r}, by which files would be in other directories; hosts get names alone"
        hint = "Add a storage to STORAGES for each directory, with hosts or URLs of its own; or let upload_to make the directory part of the names."
        return ConfigurationError(problem, hint, "E022")

    def _directory(self) -> str | None:
        return str(self._master.location)

    # One form of a name for all methods.

    def _relative(self, name: str) -> str:
        """Return a name as it is below the master copy, where `path` finds its file; ``""`` for the directory itself.

        Raises:
            TypeError: As for `resto.names.clean_name`.
            SuspiciousFileOperation: It is outside of the master copy.
        """
        name = path_text(name)
        if name.startswith("/"):
            name = os.path.relpath(self._master.path(name), self._master.location)
        return relative_name(name)

    def _clean(self, name: str) -> str:
        """Return the canonical form of a name that hosts can have; see `resto.names.clean_name`."""
        return name if is_ordinary(name) else clean_name(self._relative(name) or name)

    # What Django's `FileSystemStorage` has, too.

    @property
    def base_location(self) -> Any:
        """The directory of the master copy, as configured."""
        return self._reader.base_location

    @base_location.setter
    def base_location(self, value: Any) -> None:
        self.location = value

    @property
    def location(self) -> str:
        """The absolute path of the directory of the master copy.

        Another one that is assigned is only read from: hosts have the files of the master copy.
        """
        return str(self._reader.location)

    @location.setter
    def location(self, value: Any) -> None:
        is_same = os.path.realpath(value) == os.path.realpath(self._master.location)
        self._assigned = None if is_same else FileSystemStorage(value)

    @property
    def file_permissions_mode(self) -> int | None:
        """Permission bits of new files; None to leave them to the umask."""
        return self._master.file_permissions_mode

    @file_permissions_mode.setter
    def file_permissions_mode(self, value: int | None) -> None:
        self._master.file_permissions_mode = value

    @property
    def directory_permissions_mode(self) -> int | None:
        """Permission bits of new directories; None to leave them to the umask."""
        return self._master.directory_permissions_mode

    @directory_permissions_mode.setter
    def directory_permissions_mode(self, value: int | None) -> None:
        self._master.directory_permissions_mode = value

    def path(self, name: str) -> str:
        return self._reader.path(name)
